package reservation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/google/go-cmp/cmp"

	"lumela/internal/account"
	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/reservation"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// list reads reservations as a user of an organisation does: in one line each, and the cursor.
func list(t *testing.T, r *reservation.Reservations, organisation, query string) (lines []string, next string) {
	t.Helper()
	mux := http.NewServeMux()
	r.Register(humago.New(mux, huma.DefaultConfig("test", "1")))
	req := httptest.NewRequest(http.MethodGet, "/reservations?"+query, nil)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, req.WithContext(account.With(req.Context(), account.System(organisation))))
	var body struct {
		Items []reservation.Reservation
		Next  string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	for _, v := range body.Items {
		lines = append(lines, fmt.Sprintf("%s %d evse %d %s %s", v.Station, v.ID, v.EVSE, v.Token, v.Status))
	}
	return lines, body.Next
}

// TestBook: from the station's yes to what became of it. A state that is final stays.
func TestBook(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		r := reservation.New(open(reservation.Migrations))
		ctx := context.Background()
		made := func(organisation string, id station.ID, number int, expires time.Duration, card string) {
			t.Helper()
			req := &v21.ReserveNowRequest{ID: number, ExpiryDateTime: time.Now().Add(expires), EVSEID: ocpp.SomeIf(number, number != 5),
				IDToken: v21.IDToken{IDToken: card, Type: "ISO14443"}}
			if err := r.Made(ctx, organisation, id, req); err != nil {
				t.Fatal(err)
			}
		}
		did := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		made("org", "A", 1, time.Hour, "CARD")
		made("org", "A", 2, time.Hour, "CARD")
		made("org", "A", 3, -time.Second, "CARD")
		made("org", "A", 4, time.Hour, "CARD")
		made("org", "B", 5, time.Hour, "CARD")
		made("other", "C", 1, time.Hour, "CARD")
		did(r.Used(ctx, "A", 1))
		did(r.Update(ctx, "A", 1, "Expired")) // it was used
		did(r.Update(ctx, "A", 2, "Removed"))
		did(r.Used(ctx, "B", 4))              // not its reservation
		did(r.Used(ctx, "A", 99))             // nobody's
		made("org", "A", 2, time.Hour, "NEW") // the same number again replaces the reservation
		all := []string{"A 2 evse 2 NEW Active", "B 5 evse 0 CARD Active", "A 4 evse 4 CARD Active", "A 3 evse 3 CARD Expired", "A 1 evse 1 CARD Used"}
		got, _ := list(t, r, "org", "")
		if diff := cmp.Diff(all, got); diff != "" {
			t.Errorf("the book differs (-want +got):\n%s", diff)
		}
		var paged []string
		for cursor, n := "", 0; n < 10; n++ {
			got, next := list(t, r, "org", "limit=2&cursor="+url.QueryEscape(cursor))
			paged = append(paged, got...)
			if cursor = next; next == "" {
				break
			}
		}
		if diff := cmp.Diff(all, paged); diff != "" {
			t.Errorf("page by page it differs (-want +got):\n%s", diff)
		}
		if got, _ := list(t, r, "org", "station=B"); strings.Join(got, ",") != all[1] {
			t.Errorf("of station B: %q", got)
		}
		if got, _ := list(t, r, "other", ""); strings.Join(got, ",") != "C 1 evse 1 CARD Active" {
			t.Errorf("of the other organisation: %q", got)
		}
	})
}

// TestOneMoment: reservations that were made in one transaction have one time; no page may lose any.
func TestOneMoment(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		d := open(reservation.Migrations)
		r := reservation.New(d)
		ctx := context.Background()
		want := map[string]bool{}
		for i := range 7 {
			id := station.ID([]string{"A", "B"}[i%2])
			if err := r.Made(ctx, "org", id, &v21.ReserveNowRequest{ID: i, ExpiryDateTime: time.Now().Add(time.Hour), IDToken: v21.IDToken{IDToken: "CARD", Type: "Local"}}); err != nil {
				t.Fatal(err)
			}
			want[fmt.Sprintf("%s %d evse 0 CARD Active", id, i)] = true
		}
		if err := d.Write(ctx, func(tx *db.Tx) error {
			_, err := tx.Exec(`UPDATE reservations SET created_at = $1`, db.Micros(tx.Now()))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for cursor, n := "", 0; n < 10; n++ {
			got, next := list(t, r, "org", "limit=2&cursor="+url.QueryEscape(cursor))
			for _, l := range got {
				seen[l] = true
			}
			if cursor = next; next == "" {
				break
			}
		}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("the pages differ (-want +got):\n%s", diff)
		}
	})
}
