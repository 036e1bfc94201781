package page_test

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"lumela/internal/page"
	"lumela/internal/problem"
)

// Pages of any size, one after the other, are the whole list: nothing twice, nothing left out.
func TestPagesAreTheList(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfDistinct(rapid.StringMatching(`[a-zé0-9/ .]{1,6}`), func(s string) string { return s }).Draw(t, "all")
		slices.Sort(all)
		limit := rapid.IntRange(1, 12).Draw(t, "limit")
		var got []string
		q := page.Query{Limit: limit}
		for pages := 0; ; pages++ {
			if pages > len(all) {
				t.Fatal("the pages do not end")
			}
			after, err := q.Parse(2)
			if err != nil {
				t.Fatal(err)
			}
			var items []string
			for _, s := range all {
				if s > after[0] && len(items) <= limit {
					items = append(items, s)
				}
			}
			out := page.Of(items, limit, func(s string) []string { return []string{s, strconv.Itoa(len(s))} })
			if len(out.Body.Items) > limit {
				t.Fatalf("%d items on a page of %d", len(out.Body.Items), limit)
			}
			got = append(got, out.Body.Items...)
			if out.Body.Next == nil {
				break
			}
			q.Cursor = *out.Body.Next
		}
		if !slices.Equal(got, all) {
			t.Fatalf("pages give %q, want %q", got, all)
		}
	})
}

func TestEmptyPageIsAnArray(t *testing.T) {
	t.Parallel()
	out := page.Of[int](nil, 10, func(int) []string { return nil })
	if out.Body.Items == nil || out.Body.Next != nil {
		t.Errorf("got %+v, want [] and no next", out.Body)
	}
}

// A cursor is whatever a client sends. It is a cursor or a problem of the field, and never anything else.
func TestAnyCursor(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[A-Za-z0-9_-]{0,40}`),
			rapid.Map(rapid.SliceOf(rapid.Byte()), base64.RawURLEncoding.EncodeToString)).Draw(t, "cursor")
		n := rapid.IntRange(1, 3).Draw(t, "parts")
		parts, err := page.Query{Cursor: text}.Parse(n)
		if err != nil {
			if e := problem.Of(err); e.Kind != problem.Invalid || e.Field != "cursor" {
				t.Fatalf("problem %v, want one of the field cursor", err)
			}
			return
		}
		if len(parts) != n {
			t.Fatalf("%d parts, want %d", len(parts), n)
		}
		for _, p := range parts {
			if !utf8.ValidString(p) || strings.ContainsRune(p, 0) {
				t.Fatalf("part %q can be in no database", p)
			}
		}
	})
}

func TestBounds(t *testing.T) {
	t.Parallel()
	from, to := page.Span{}.Bounds()
	if from.Year() != 0 || to.Year() != 10000 {
		t.Errorf("defaults are %v and %v", from, to)
	}
	a, b := time.Unix(10, 0), time.Unix(20, 0)
	if from, to = (page.Span{From: a, To: b}).Bounds(); !from.Equal(a) || !to.Equal(b) {
		t.Errorf("given bounds became %v and %v", from, to)
	}
}
