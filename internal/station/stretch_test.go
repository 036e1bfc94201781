package station_test

import (
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/event"
	"lumela/internal/station"
)

// The time of a connector is cut where its state changes and where its station had no link; a link that nobody saw the end
// of ends with the next one.
func TestStretches(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		d := open(event.Migrations, station.Migrations)
		noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
		s := station.New(d, nil, nil, station.Open, "org")
		err := d.Write(t.Context(), func(tx *db.Tx) error {
			for i, c := range []struct {
				connector, minutes int
				status             string
			}{{1, -500, "Unavailable"}, {1, -200, "Available"}, {1, 20, "Occupied"}, {1, 70, "Available"}, {2, 40, "Faulted"}} {
				if _, err := tx.Exec(`INSERT INTO status_history (station_id, received_at, id, evse, connector, status, detail, error_code, error_info, at)
					VALUES ('S', $1, $2, 1, $3, $4, '', '', '', 0)`, db.Micros(at(c.minutes)), fmt.Sprint(i), c.connector, c.status); err != nil {
					return err
				}
				if _, err := tx.Exec(`INSERT INTO connectors (station_id, evse, connector, status, detail, error_code, error_info, type, at)
					VALUES ('S', 1, $1, '', '', '', '', '', 0) ON CONFLICT DO NOTHING`, c.connector); err != nil {
					return err
				}
			}
			for i, link := range [][2]any{{-900, -800}, {-300, 30}, {50, nil}, {60, nil}} {
				end := any(nil)
				if minutes, ok := link[1].(int); ok {
					end = db.Micros(at(minutes))
				}
				if _, err := tx.Exec(`INSERT INTO link_history (station_id, connected_at, link_id, node, protocol, remote, disconnected_at, reason)
					VALUES ('S', $1, $2, '', '', '', $3, '')`, db.Micros(at(link[0].(int))), fmt.Sprint(i), end); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Stretches(t.Context(), "S", noon, at(120))
		if err != nil {
			t.Fatal(err)
		}
		stretch := func(connector int, status string, from, to int) station.Stretch {
			return station.Stretch{EVSE: 1, Connector: connector, Status: status, From: at(from), To: at(to)}
		}
		want := []station.Stretch{stretch(1, "available", 0, 20), stretch(1, "occupied", 20, 30), stretch(1, "offline", 30, 50),
			stretch(1, "occupied", 50, 60), stretch(1, "occupied", 60, 70), stretch(1, "available", 70, 120),
			stretch(2, "offline", 40, 50), stretch(2, "faulted", 50, 60), stretch(2, "faulted", 60, 120)}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		if none, err := s.Stretches(t.Context(), "nobody", noon, at(1)); err != nil || len(none) > 0 {
			t.Errorf("a station that is not known: %v, %v", none, err)
		}
	})
}
