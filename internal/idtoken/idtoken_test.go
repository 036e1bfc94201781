package idtoken_test

import (
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/idtoken"
	"lumela/internal/problem"
	"lumela/ocpp"
	"lumela/ocpp/translate"
	"lumela/ocpp/v21"
)

const org, other = "org", "other"

type T = idtoken.Token

func add(t *testing.T, book *idtoken.Tokens, organisation string, token T) T {
	t.Helper()
	if token.Status == "" {
		token.Status = idtoken.Active
	}
	if err := book.Add(t.Context(), organisation, &token); err != nil {
		t.Fatalf("add %+v: %v", token, err)
	}
	return token
}

func TestBook(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		ctx, book := t.Context(), idtoken.New(open(idtoken.Migrations))
		until := time.Date(2030, 1, 2, 3, 4, 5, 6000, time.UTC)
		a := add(t, book, org, T{UID: "AbC1", Type: "iso14443", Group: "G", ValidUntil: &until, Note: "n"})
		if a.Type != "ISO14443" || a.ID == "" || a.CreatedAt.IsZero() {
			t.Errorf("made %+v", a)
		}
		got, err := book.Get(ctx, org, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(&a, got); d != "" {
			t.Errorf("read (-made +got):\n%s", d)
		}
		twin := T{UID: "aBc1", Type: "ISO14443", Status: idtoken.Active}
		if err := book.Add(ctx, org, &twin); !problem.Is(err, problem.Conflict) {
			t.Errorf("the same uid in other letters: %v", err)
		}
		b := add(t, book, org, T{UID: "aBc1", Type: "KeyCode"})
		add(t, book, other, T{UID: "AbC1", Type: "ISO14443"})

		_, err = book.Change(ctx, org, b.ID, func(t *T) { t.Type = "ISO14443" })
		if !problem.Is(err, problem.Conflict) {
			t.Errorf("changed into a twin: %v", err)
		}
		_, err = book.Change(ctx, org, b.ID, func(t *T) { t.Type = "Nonsense" })
		if problem.Of(err).Field != "type" {
			t.Errorf("changed into nonsense: %v", err)
		}
		changed, err := book.Change(ctx, org, a.ID, func(t *T) { t.UID, t.Status, t.ValidUntil = "New", idtoken.Blocked, nil })
		if err != nil {
			t.Fatal(err)
		}
		if got, err = book.Get(ctx, org, a.ID); err != nil || cmp.Diff(changed, got) != "" || got.ValidUntil != nil || got.UID != "New" {
			t.Errorf("changed %+v reads %+v, %v", changed, got, err)
		}
		if list, err := book.List(ctx, org, "ABC1", "", 10); err != nil || len(list) != 1 || list[0].ID != b.ID {
			t.Errorf("search by uid gives %+v, %v", list, err)
		}

		for name, err := range map[string]error{
			"get":    second(book.Get(ctx, other, a.ID)),
			"change": second(book.Change(ctx, other, a.ID, func(t *T) { t.Note = "stolen" })),
			"remove": book.Remove(ctx, other, a.ID),
		} {
			if !problem.Is(err, problem.NotFound) {
				t.Errorf("%s by another organisation: %v", name, err)
			}
		}
		if err := book.Remove(ctx, org, a.ID); err != nil {
			t.Error(err)
		}
		if err := book.Remove(ctx, org, a.ID); !problem.Is(err, problem.NotFound) {
			t.Errorf("removed twice: %v", err)
		}
	})
}

func second[A any](_ A, err error) error { return err }

func TestRules(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		book := idtoken.New(open(idtoken.Migrations))
		for _, c := range []struct {
			token T
			field string
		}{
			{T{UID: ""}, "uid"},
			{T{UID: strings.Repeat("é", 255)}, ""},
			{T{UID: strings.Repeat("e", 256)}, "uid"},
			{T{UID: "a\x00b"}, "uid"},
			{T{UID: "a\nb"}, "uid"},
			{T{UID: "x", Type: "RFID"}, "type"},
			{T{UID: "x", Type: "emaid"}, ""},
			{T{UID: "y", Group: strings.Repeat("é", 36)}, ""},
			{T{UID: "z", Group: strings.Repeat("g", 37)}, "group"},
			{T{UID: "z", Group: "\x00"}, "group"},
			{T{UID: "z", Note: "\x00"}, "note"},
		} {
			err := book.Add(t.Context(), org, &c.token)
			if c.field == "" && err != nil || c.field != "" && (!problem.Is(err, problem.Invalid) || problem.Of(err).Field != c.field) {
				t.Errorf("%+v: %v, want a problem of field %q", c.token, err, c.field)
			}
		}
		for _, typ := range idtoken.Types {
			if token := (T{UID: "all", Type: strings.ToUpper(typ)}); book.Add(t.Context(), org, &token) != nil || token.Type != typ {
				t.Errorf("type %s became %s", typ, token.Type)
			}
		}
	})
}

func TestDecide(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) *time.Time { v := now.Add(d); return &v }
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		book := idtoken.New(open(idtoken.Migrations))
		for _, token := range []T{
			{UID: "Card", Type: "ISO14443", Group: "Fleet"},
			{UID: "any"},
			{UID: "blocked", Status: idtoken.Blocked},
			{UID: "expired", ValidUntil: at(0)},
			{UID: "valid", ValidUntil: at(time.Microsecond)},
			{UID: "both", ValidUntil: at(-time.Hour), Status: idtoken.Blocked},
			{UID: "two", Type: "KeyCode", Status: idtoken.Blocked},
			{UID: "two", Type: "ISO14443"},
			{UID: "typed", Type: "KeyCode", Status: idtoken.Blocked},
			{UID: "typed"},
		} {
			add(t, book, org, token)
		}
		add(t, book, other, T{UID: "foreign"})
		for _, c := range []struct {
			uid, typ string
			want     v21.AuthorizationStatus
		}{
			{"CARD", "ISO14443", v21.AuthorizationStatusAccepted},
			{"card", "iso14443", v21.AuthorizationStatusAccepted},
			{"card", "KeyCode", v21.AuthorizationStatusUnknown},
			{"card", translate.UntypedIDToken, v21.AuthorizationStatusAccepted}, // 1.6 knows no types
			{"ANY", "eMAID", v21.AuthorizationStatusAccepted},
			{"blocked", "Central", v21.AuthorizationStatusBlocked},
			{"expired", "Central", v21.AuthorizationStatusExpired},
			{"valid", "Central", v21.AuthorizationStatusAccepted},
			{"both", "Central", v21.AuthorizationStatusBlocked},
			{"two", "KeyCode", v21.AuthorizationStatusBlocked},
			{"two", "ISO14443", v21.AuthorizationStatusAccepted},
			{"two", translate.UntypedIDToken, v21.AuthorizationStatusAccepted}, // an active one serves
			{"typed", "KeyCode", v21.AuthorizationStatusBlocked},               // the exact type before any type
			{"typed", translate.UntypedIDToken, v21.AuthorizationStatusAccepted},
			{"typed", "Local", v21.AuthorizationStatusAccepted},
			{"foreign", "Central", v21.AuthorizationStatusUnknown},
			{"", "Central", v21.AuthorizationStatusUnknown},
			{"", idtoken.NoAuthorization, v21.AuthorizationStatusAccepted},
			{"ca_d", "ISO14443", v21.AuthorizationStatusUnknown},
		} {
			d, err := book.Decide(t.Context(), org, &v21.IDToken{IDToken: c.uid, Type: c.typ}, now)
			if err != nil || d.Status != c.want || d.Accepted() != (c.want == v21.AuthorizationStatusAccepted) {
				t.Errorf("%s of type %s: %v, %v; want %v", c.uid, c.typ, d.Status, err, c.want)
			}
		}
	})
}

func TestInfo(t *testing.T) {
	t.Parallel()
	until := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		d    idtoken.Decision
		want v21.IDTokenInfo
	}{
		{idtoken.Decision{Status: v21.AuthorizationStatusUnknown}, v21.IDTokenInfo{Status: v21.AuthorizationStatusUnknown}},
		{idtoken.Decision{Status: v21.AuthorizationStatusAccepted, Token: &T{UID: "a"}}, v21.IDTokenInfo{Status: v21.AuthorizationStatusAccepted}},
		{idtoken.Decision{Status: v21.AuthorizationStatusExpired, Token: &T{UID: "a", Group: "G", ValidUntil: &until}},
			v21.IDTokenInfo{Status: v21.AuthorizationStatusExpired, GroupIDToken: &v21.IDToken{IDToken: "G", Type: "Central"},
				CacheExpiryDateTime: ocpp.Some(until)}},
	} {
		if d := cmp.Diff(c.want, c.d.Info()); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
}

// Pages of any size are the whole list, in the order in which the tokens were made.
func TestPages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		book := idtoken.New(open(idtoken.Migrations))
		var want []string
		for i := range 23 {
			want = append(want, add(t, book, org, T{UID: strconv.Itoa(i % 12), Type: idtoken.Types[i/12]}).ID)
			add(t, book, other, T{UID: strconv.Itoa(i)})
		}
		rapid.Check(t, func(t *rapid.T) {
			limit := rapid.IntRange(1, 30).Draw(t, "limit")
			var got []string
			for after := ""; ; after = got[len(got)-1] {
				list, err := book.List(t.Context(), org, "", after, limit)
				if err != nil {
					t.Fatal(err)
				}
				for _, token := range list {
					got = append(got, token.ID)
				}
				if len(list) < limit {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("pages of %d give %d tokens, want %d", limit, len(got), len(want))
			}
		})
	})
}
