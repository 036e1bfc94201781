// Package page is the shape of every list in the API: items and a cursor to the next page.
package page

import (
	"encoding/base64"
	"strings"
	"time"
	"unicode/utf8"

	"lumela/internal/problem"
)

// Query is what every list takes.
type Query struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Most items on a page"`
	Cursor string `query:"cursor" doc:"The next of the page before"`
}

// List is a page of items.
type List[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next" doc:"Cursor of the next page, null on the last"`
}

// Output is a page as a response.
type Output[T any] struct{ Body List[T] }

// Of makes a page from up to limit+1 items: the one too many shows that there is a next page. key gives the sort key of
// an item.
func Of[T any](items []T, limit int, key func(T) []string) *Output[T] {
	out := &Output[T]{Body: List[T]{Items: items}}
	if len(items) > limit {
		out.Body.Items = items[:limit]
		next := base64.RawURLEncoding.EncodeToString([]byte(strings.Join(key(items[limit-1]), "\x00")))
		out.Body.Next = &next
	}
	if out.Body.Items == nil {
		out.Body.Items = []T{}
	}
	return out
}

// Parse reads a cursor of n parts; without one all parts are empty.
func (q Query) Parse(n int) ([]string, error) {
	if q.Cursor == "" {
		return make([]string, n), nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	parts := strings.Split(string(raw), "\x00")
	if err != nil || len(parts) != n || !utf8.Valid(raw) {
		return nil, problem.Field("cursor", "is not a cursor of this list")
	}
	return parts, nil
}

// Span is the time range that histories take.
type Span struct {
	From time.Time `query:"from" doc:"First moment, RFC 3339; the default is the beginning"`
	To   time.Time `query:"to" doc:"Moment after the last, RFC 3339; the default is now and later"`
}

// Bounds fills in the defaults.
func (s Span) Bounds() (from, to time.Time) {
	from, to = s.From, s.To
	if from.IsZero() {
		from = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC) // clocks that are not set tell times before 1970
	}
	if to.IsZero() {
		to = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return from, to
}
