// Package reservation is the book of reservations: what stations have agreed to keep free, for whom, until when.
package reservation

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lumela/internal/account"
	"lumela/internal/db"
	"lumela/internal/page"
	"lumela/internal/problem"
	"lumela/internal/station"
	"lumela/ocpp/v21"
)

// Reservation is one reservation.
type Reservation struct {
	ID        int       `json:"id" doc:"The number under which the station knows it"`
	Station   string    `json:"station"`
	EVSE      int       `json:"evse" doc:"0 for any EVSE of the station"`
	Token     string    `json:"token"`
	TokenType string    `json:"tokenType"`
	Status    string    `json:"status" enum:"Active,Used,Cancelled,Expired,Removed,NoTransaction"`
	ExpiresAt time.Time `json:"expiresAt"`
	CreatedAt time.Time `json:"createdAt"`
}

// Reservations is the book.
type Reservations struct{ db *db.DB }

// New opens the book.
func New(d *db.DB) *Reservations { return &Reservations{db: d} }

// Made keeps a reservation that a station has accepted. The same id replaces the reservation before it:
// OCPP 2.1 H01.FR.02.
func (r *Reservations) Made(ctx context.Context, organisation string, id station.ID, req *v21.ReserveNowRequest) error {
	err := r.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`INSERT INTO reservations (station_id, id, organisation_id, evse, token_uid, token_type, status, expires_at, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, 'Active', $7, $8) ON CONFLICT (station_id, id) DO UPDATE SET organisation_id = excluded.organisation_id, evse = excluded.evse,
			token_uid = excluded.token_uid, token_type = excluded.token_type, status = 'Active', expires_at = excluded.expires_at,
			created_at = excluded.created_at`, string(id), req.ID, organisation, req.EVSEID.Or(0), req.IDToken.IDToken, req.IDToken.Type,
			db.Micros(req.ExpiryDateTime), db.Micros(tx.Now()))
		return err
	})
	return problem.Wrap("keep the reservation", err)
}

// Update records what became of a reservation.
func (r *Reservations) Update(ctx context.Context, id station.ID, reservation int, status string) error {
	err := r.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE reservations SET status = $3 WHERE station_id = $1 AND id = $2 AND status = 'Active'`, string(id), reservation, status)
		return err
	})
	return problem.Wrap("update the reservation", err)
}

// StationRemoved ends the reservations of a station in the transaction that removes it. It is a station.Removal.
func (r *Reservations) StationRemoved(tx *db.Tx, organisation string, id station.ID) error {
	_, err := tx.Exec(`UPDATE reservations SET status = 'Removed' WHERE station_id = $1 AND organisation_id = $2 AND status = 'Active'`, string(id), organisation)
	return err
}

// Used records that a session began on a reservation.
func (r *Reservations) Used(ctx context.Context, id station.ID, reservation int) error {
	return r.Update(ctx, id, reservation, "Used")
}

type listInput struct {
	page.Query
	Station string `query:"station"`
}

// Register adds the operations of this package to the API.
func (r *Reservations) Register(api huma.API) {
	huma.Register(api, huma.Operation{OperationID: "list-reservations", Method: http.MethodGet, Path: "/reservations",
		Summary: "Reservations, newest first", Tags: []string{"Reservations"}}, r.list)
}

func (r *Reservations) list(ctx context.Context, in *listInput) (*page.Output[Reservation], error) {
	p, err := account.Require(ctx, account.Viewer)
	if err != nil {
		return nil, err
	}
	parts, err := in.Parse(3)
	if err != nil {
		return nil, err
	}
	_, end := page.Span{}.Bounds()
	before, beforeID := db.Micros(end), 0
	if parts[0] != "" {
		var idErr error
		before, err = strconv.ParseInt(parts[0], 10, 64)
		beforeID, idErr = strconv.Atoi(parts[2])
		if err != nil || idErr != nil {
			return nil, problem.Field("cursor", "is not a cursor of this list")
		}
	}
	rows, err := r.db.Query(ctx, `SELECT station_id, id, evse, token_uid, token_type, status, expires_at, created_at FROM reservations
		WHERE organisation_id = $1 AND ($3 = '' OR station_id = $3) AND
			(created_at < $2 OR created_at = $2 AND (station_id > $5 OR station_id = $5 AND id > $6))
		ORDER BY created_at DESC, station_id, id LIMIT $4`,
		p.Organisation, before, in.Station, in.Limit+1, parts[1], beforeID)
	if err != nil {
		return nil, problem.Wrap("list the reservations", err)
	}
	defer rows.Close()
	var out []Reservation
	for rows.Next() {
		var v Reservation
		var expires, created int64
		if err := rows.Scan(&v.Station, &v.ID, &v.EVSE, &v.Token, &v.TokenType, &v.Status, &expires, &created); err != nil {
			return nil, problem.Wrap("list the reservations", err)
		}
		v.ExpiresAt, v.CreatedAt = db.Time(expires), db.Time(created)
		if v.Status == "Active" && time.Now().After(v.ExpiresAt) {
			v.Status = "Expired"
		}
		out = append(out, v)
	}
	if err := rows.Err(); err != nil {
		return nil, problem.Wrap("list the reservations", err)
	}
	return page.Of(out, in.Limit, func(v Reservation) []string {
		return []string{strconv.FormatInt(v.CreatedAt.UnixMicro(), 10), v.Station, strconv.Itoa(v.ID)}
	}), nil
}
