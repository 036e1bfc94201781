package station

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/problem"
)

const stationColumns = `id, organisation_id, admission, security_profile, strict, password_salt, password_mac, vendor, model,
	serial_number, firmware, protocol, created_at, booted_at, last_seen_at, connected_at, link_id, model_read_at,
	blocked_until, blocked_reason, rotate_password, next_salt, next_mac, next_certain`

type scanner interface{ Scan(dest ...any) error }

func scanStation(row scanner) (*Station, error) {
	var st Station
	var created int64
	var booted, seen, connected, modelRead, blocked sql.NullInt64
	err := row.Scan(&st.ID, &st.Organisation, &st.Admission, &st.SecurityProfile, &st.Strict, &st.salt, &st.mac, &st.Vendor,
		&st.Model, &st.SerialNumber, &st.Firmware, &st.Protocol, &created, &booted, &seen, &connected, &st.LinkID, &modelRead,
		&blocked, &st.BlockedReason, &st.RotatePassword, &st.nextSalt, &st.nextMAC, &st.nextCertain)
	if err != nil {
		return nil, err
	}
	st.CreatedAt, st.BootedAt, st.LastSeenAt = db.Time(created), db.ZeroTime(booted), db.ZeroTime(seen)
	st.ConnectedAt, st.ModelReadAt = db.ZeroTime(connected), db.ZeroTime(modelRead)
	st.BlockedUntil = db.ZeroTime(blocked)
	return &st, nil
}

// Get reads a station of any organisation.
func (s *Stations) Get(ctx context.Context, id ID) (*Station, error) {
	st, err := scanStation(s.db.QueryRow(ctx, `SELECT `+stationColumns+` FROM stations WHERE id = $1`, string(id)))
	if errors.Is(err, db.ErrNoRows) {
		return nil, problem.New(problem.NotFound, "no station %s", id)
	}
	return st, problem.Wrap("read the station", err)
}

// Of reads a station of one organisation; another's is not found.
func (s *Stations) Of(ctx context.Context, organisation string, id ID) (*Station, error) {
	st, err := s.Get(ctx, id)
	if err == nil && st.Organisation != organisation {
		return nil, problem.New(problem.NotFound, "no station %s", id)
	}
	return st, err
}

// add inserts a station; if it was made meanwhile, that one is returned.
func (s *Stations) add(ctx context.Context, st *Station) (*Station, error) {
	fresh := false
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		st.CreatedAt = tx.Now()
		var err error
		if fresh, err = insertStation(tx, st); err == nil && fresh {
			s.record(tx, admissionEvent(st.Admission), st)
			err = beginTenure(tx, st)
		}
		return err
	})
	if err != nil {
		return nil, problem.Wrap("add the station", err)
	}
	if !fresh {
		return s.Get(ctx, st.ID)
	}
	return st, nil
}

// Enrol makes a station known and accepted, with a password; a known one of the organisation gets the password.
func (s *Stations) Enrol(ctx context.Context, organisation string, id ID, password string) error {
	if err := CheckID(string(id)); err != nil {
		return err
	}
	st := &Station{ID: id, Organisation: organisation, Admission: Accepted, SecurityProfile: 1}
	st.setPassword(password)
	known, err := s.add(ctx, st)
	if err != nil || known == st {
		return err
	}
	return s.SetPassword(ctx, organisation, id, password)
}

func insertStation(tx *db.Tx, st *Station) (bool, error) {
	res, err := tx.Exec(`INSERT INTO stations (id, organisation_id, admission, security_profile, strict, password_salt, password_mac,
		vendor, model, serial_number, firmware, protocol, created_at, link_id, link_node, rotate_password)
		VALUES ($1, $2, $3, $4, $5, $6, $7, '', '', '', '', '', $8, '', '', $9) ON CONFLICT DO NOTHING`,
		string(st.ID), st.Organisation, string(st.Admission), st.SecurityProfile, st.Strict, st.salt, st.mac, db.Micros(st.CreatedAt),
		st.RotatePassword)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

func admissionEvent(a Admission) string {
	if a == Pending {
		return event.StationPending
	}
	return event.StationAccepted
}

func (s *Stations) record(tx *db.Tx, typ string, st *Station) {
	s.events.Record(tx, event.New(typ, st.Organisation, string(st.ID), tx.Now(), st.view()))
}

// change reads a station in a transaction, lets f change it, and writes what can change.
func (s *Stations) change(ctx context.Context, organisation string, id ID, typ string, f func(st *Station) error) (*Station, error) {
	var st *Station
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		var err error
		st, err = scanStation(tx.QueryRow(`SELECT `+stationColumns+` FROM stations WHERE id = $1 AND organisation_id = $2`, string(id), organisation))
		if errors.Is(err, db.ErrNoRows) {
			return problem.New(problem.NotFound, "no station %s", id)
		}
		if err != nil {
			return err
		}
		if err := f(st); err != nil {
			return err
		}
		_, err = tx.Exec(`UPDATE stations SET admission = $2, security_profile = $3, strict = $4, password_salt = $5, password_mac = $6,
			next_salt = $7, next_mac = $8, next_certain = $9, rotate_password = $10 WHERE id = $1`, string(id), string(st.Admission),
			st.SecurityProfile, st.Strict, st.salt, st.mac, st.nextSalt, st.nextMAC, st.nextCertain, st.RotatePassword)
		if err == nil {
			s.record(tx, typ, st)
		}
		return err
	})
	return st, problem.Wrap("change the station", err)
}

// Remove forgets a station and what is known of its state. Its sessions stay. A link that it has must be closed by whoever
// holds it, see OnRemove.
func (s *Stations) Remove(ctx context.Context, organisation string, id ID) error {
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		res, err := tx.Exec(`DELETE FROM stations WHERE id = $1 AND organisation_id = $2`, string(id), organisation)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, problem.New(problem.NotFound, "no station %s", id))
		}
		if err := errors.Join(forget(tx, id), endTenure(tx, organisation, id)); err != nil {
			return err
		}
		for _, during := range s.onRemove {
			if err := during(tx, organisation, id); err != nil {
				return err
			}
		}
		s.events.Record(tx, event.New(event.StationRemoved, organisation, string(id), tx.Now(), struct{}{}))
		return nil
	})
	if err != nil {
		return problem.Wrap("remove the station", err)
	}
	for _, after := range s.afterRemove {
		after(organisation, id)
	}
	return nil
}

// Link is one connection of a station.
type Link struct {
	ID       string
	Node     string
	Station  ID
	Protocol string
	Remote   string
	At       time.Time
	// ByStation is true at the end of a link that the station ended or replaced itself.
	ByStation bool
}

// Linked records that a station has connected. The error is NotFound when the station was removed since it was let in.
func (s *Stations) Linked(ctx context.Context, organisation string, l Link) error {
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		if err := owned(tx, organisation, l.Station); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE stations SET connected_at = $2, last_seen_at = $2, link_id = $3, link_node = $4, protocol = $5 WHERE id = $1`,
			string(l.Station), db.Micros(l.At), l.ID, l.Node, l.Protocol); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO link_history (station_id, connected_at, link_id, node, protocol, remote, reason)
			VALUES ($1, $2, $3, $4, $5, $6, '')`, string(l.Station), db.Micros(l.At), l.ID, l.Node, l.Protocol, l.Remote); err != nil {
			return err
		}
		s.events.Record(tx, event.New(event.StationOnline, organisation, string(l.Station), tx.Now(),
			map[string]any{"protocol": l.Protocol, "connectedSince": l.At.UTC()}))
		return nil
	})
	return problem.Wrap("record the link", err)
}

// Unlinked records that a link has ended. The station stays online when it has a newer one; it is blocked when it ends
// too many.
func (s *Stations) Unlinked(ctx context.Context, organisation string, l Link, reason string, at time.Time) error {
	var blocked *Station
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		blocked = nil
		if _, err := tx.Exec(`UPDATE link_history SET disconnected_at = $4, reason = $5, by_station = $6
			WHERE station_id = $1 AND connected_at = $2 AND link_id = $3`,
			string(l.Station), db.Micros(l.At), l.ID, db.Micros(at), reason, l.ByStation); err != nil {
			return err
		}
		if l.ByStation && s.perHour > 0 {
			var err error
			if blocked, err = s.countLinks(tx, l.Station); err != nil {
				return err
			}
		}
		res, err := tx.Exec(`UPDATE stations SET connected_at = NULL, last_seen_at = $3, link_id = '', link_node = '' WHERE id = $1 AND link_id = $2`,
			string(l.Station), l.ID, db.Micros(at))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		s.events.Record(tx, event.New(event.StationOffline, organisation, string(l.Station), tx.Now(),
			map[string]any{"reason": reason, "lastSeen": at.UTC()}))
		return nil
	})
	if err == nil && blocked != nil && s.onBlock != nil {
		s.onBlock(blocked.ID, "blocked: "+blocked.BlockedReason)
	}
	return problem.Wrap("record the end of the link", err)
}

// countLinks blocks a station that has ended more links within an hour than it may, and gives it then.
func (s *Stations) countLinks(tx *db.Tx, id ID) (*Station, error) {
	now := tx.Now()
	var n int
	err := tx.QueryRow(`SELECT COUNT(*) FROM link_history WHERE station_id = $1 AND connected_at > $2 AND connected_at <= $3 AND by_station
		AND connected_at > COALESCE((SELECT links_count_since FROM stations WHERE id = $1 AND links_count_since <= $3), 0)`,
		string(id), db.Micros(now.Add(-linksWindow)), db.Micros(now)).Scan(&n)
	if err != nil || n <= s.perHour {
		return nil, err
	}
	st, err := scanStation(tx.QueryRow(`SELECT `+stationColumns+` FROM stations WHERE id = $1`, string(id)))
	if errors.Is(err, db.ErrNoRows) {
		return nil, nil // it was deleted meanwhile
	}
	if err != nil {
		return nil, err
	}
	st.BlockedUntil, st.BlockedReason = now.Add(blockFor).Truncate(time.Microsecond), blockReason(n)
	if _, err := tx.Exec(`UPDATE stations SET blocked_until = $2, blocked_reason = $3, links_count_since = $4 WHERE id = $1`,
		string(id), db.Micros(st.BlockedUntil), st.BlockedReason, db.Micros(now)); err != nil {
		return nil, err
	}
	s.record(tx, event.StationUpdated, st)
	s.events.Record(tx, event.New(event.Security, st.Organisation, string(id), now,
		alarm{Reason: "the station is blocked: " + st.BlockedReason, Until: moment(st.BlockedUntil)}))
	return st, nil
}

// Unblock lets a station in again before its block ends. Its links count anew.
func (s *Stations) Unblock(ctx context.Context, organisation string, id ID) (*Station, error) {
	var st *Station
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		var err error
		st, err = scanStation(tx.QueryRow(`SELECT `+stationColumns+` FROM stations WHERE id = $1 AND organisation_id = $2`, string(id), organisation))
		if errors.Is(err, db.ErrNoRows) {
			return problem.New(problem.NotFound, "no station %s", id)
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE stations SET blocked_until = NULL, blocked_reason = '', links_count_since = $2 WHERE id = $1`,
			string(id), db.Micros(tx.Now())); err != nil {
			return err
		}
		st.BlockedUntil, st.BlockedReason = time.Time{}, ""
		s.record(tx, event.StationUpdated, st)
		return nil
	})
	return st, problem.Wrap("lift the block", err)
}

// setNext writes, or with no mac forgets, the new password that a station was sent.
func (s *Stations) setNext(ctx context.Context, id ID, salt, mac []byte, certain bool) error {
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE stations SET next_salt = $2, next_mac = $3, next_certain = $4 WHERE id = $1`, string(id), salt, mac, certain)
		return err
	})
	return problem.Wrap("keep the new password", err)
}

// promote makes the new password of a station its only one, unless it was changed meanwhile.
func (s *Stations) promote(ctx context.Context, st *Station) error {
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE stations SET password_salt = next_salt, password_mac = next_mac, next_salt = NULL, next_mac = NULL,
			next_certain = FALSE, rotate_password = FALSE, security_profile = CASE WHEN security_profile = 0 THEN 1 ELSE security_profile END
			WHERE id = $1 AND next_mac = $2`, string(st.ID), st.mac)
		return err
	})
	return problem.Wrap("change the password", err)
}

// Seen records when stations were last heard of.
func (s *Stations) Seen(ctx context.Context, at map[ID]time.Time) error {
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		for id, t := range at {
			if _, err := tx.Exec(`UPDATE stations SET last_seen_at = $2 WHERE id = $1`, string(id), db.Micros(t)); err != nil {
				return err
			}
		}
		return nil
	})
	return problem.Wrap("record when stations were seen", err)
}

// NodeLost records that the links of a node are gone: after a crash its own, at its next start.
func (s *Stations) NodeLost(ctx context.Context, node string, at time.Time) error {
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(`UPDATE link_history SET disconnected_at = $2, reason = 'node lost' WHERE node = $1 AND disconnected_at IS NULL`,
			node, db.Micros(at)); err != nil {
			return err
		}
		lost, err := s.linkedTo(tx, node)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE stations SET connected_at = NULL, link_id = '', link_node = '' WHERE link_node = $1`, node); err != nil {
			return err
		}
		for _, st := range lost { // streams that resume must hear of it
			s.events.Record(tx, event.New(event.StationOffline, st.Organisation, string(st.ID), tx.Now(),
				map[string]any{"reason": "node lost", "lastSeen": moment(st.LastSeenAt)}))
		}
		return nil
	})
	return problem.Wrap("record the lost node", err)
}

func (s *Stations) linkedTo(tx *db.Tx, node string) ([]*Station, error) {
	rows, err := tx.Query(`SELECT `+stationColumns+` FROM stations WHERE link_node = $1`, node)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*Station
	for rows.Next() {
		st, err := scanStation(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, st)
	}
	return out, rows.Err()
}

// Boot is what a station says of itself when it starts.
type Boot struct {
	Vendor, Model, SerialNumber, Firmware string
	Reason                                string
}

// Booted records an accepted or pending BootNotification. changed is true when model or firmware differ from before, so
// that the device model should be read again.
func (s *Stations) Booted(ctx context.Context, organisation string, id ID, b Boot, accepted bool) (changed bool, err error) {
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		st, err := scanStation(tx.QueryRow(`SELECT `+stationColumns+` FROM stations WHERE id = $1 AND organisation_id = $2`, string(id), organisation))
		if errors.Is(err, db.ErrNoRows) {
			return problem.New(problem.NotFound, "the station has been removed")
		}
		if err != nil {
			return err
		}
		changed = st.Vendor != b.Vendor || st.Model != b.Model || st.Firmware != b.Firmware || st.SerialNumber != b.SerialNumber
		st.Vendor, st.Model, st.SerialNumber, st.Firmware = b.Vendor, b.Model, b.SerialNumber, b.Firmware
		if accepted {
			st.BootedAt = tx.Now()
		}
		if _, err = tx.Exec(`UPDATE stations SET vendor = $2, model = $3, serial_number = $4, firmware = $5, booted_at = $6 WHERE id = $1`,
			string(id), b.Vendor, b.Model, b.SerialNumber, b.Firmware, db.ZeroMicros(st.BootedAt)); err != nil {
			return err
		}
		typ := event.StationUpdated
		if st.Admission == Pending {
			typ = event.StationPending
		}
		s.events.Record(tx, event.New(typ, organisation, string(id), tx.Now(), st.view()))
		return nil
	})
	return changed, problem.Wrap("record the boot", err)
}

// Filter selects stations.
type Filter struct {
	Search    string // in id, vendor, model, serial number
	Admission Admission
	Online    *bool
	Status    string // any connector in this state
	After     ID
	Limit     int
}

// List reads the stations of an organisation in the order of their ids.
func (s *Stations) List(ctx context.Context, organisation string, f Filter) ([]*Station, error) {
	where, args := []string{"organisation_id = $1", "id > $2"}, []any{organisation, string(f.After)}
	add := func(cond string, v any) {
		args = append(args, v)
		where = append(where, strings.ReplaceAll(cond, "?", fmt.Sprintf("$%d", len(args))))
	}
	if f.Search != "" {
		pattern := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(f.Search) + "%"
		// Both sides by the same LOWER: SQLite's leaves alone what is not ASCII, Go's does not.
		add(`(LOWER(id) LIKE LOWER(?) ESCAPE '\' OR LOWER(vendor) LIKE LOWER(?) ESCAPE '\' OR LOWER(model) LIKE LOWER(?) ESCAPE '\'
			OR LOWER(serial_number) LIKE LOWER(?) ESCAPE '\')`, pattern)
	}
	if f.Admission != "" {
		add("admission = ?", string(f.Admission))
	}
	if f.Status != "" {
		add("EXISTS (SELECT 1 FROM connectors c WHERE c.station_id = stations.id AND c.status = ?)", f.Status)
	}
	if f.Online != nil {
		if *f.Online {
			where = append(where, "connected_at IS NOT NULL")
		} else {
			where = append(where, "connected_at IS NULL")
		}
	}
	args = append(args, f.Limit)
	rows, err := s.db.Query(ctx, `SELECT `+stationColumns+` FROM stations WHERE `+strings.Join(where, " AND ")+
		fmt.Sprintf(` ORDER BY id LIMIT $%d`, len(args)), args...)
	if err != nil {
		return nil, problem.Wrap("list the stations", err)
	}
	defer rows.Close()
	var out []*Station
	for rows.Next() {
		st, err := scanStation(rows)
		if err != nil {
			return nil, problem.Wrap("list the stations", err)
		}
		out = append(out, st)
	}
	return out, problem.Wrap("list the stations", rows.Err())
}

// inList writes the conditions column IN ($n…) for the given ids and appends their values.
func inList(args []any, ids []ID) (string, []any) {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		args = append(args, string(id))
		fmt.Fprintf(&b, "$%d", len(args))
	}
	return "(" + b.String() + ")", args
}
