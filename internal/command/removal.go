package command

import (
	"time"

	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/station"
)

// cancel ends what waits for a station that is being removed: whoever makes it known again, perhaps another organisation,
// must not have it carried out.
func (c *Commands) cancel(tx *db.Tx, organisation string, id station.ID) error {
	rows, err := tx.Query(`SELECT `+columns+` FROM commands WHERE station_id = $1 AND organisation_id = $2 AND status = 'queued'`, string(id), organisation)
	if err != nil {
		return err
	}
	defer rows.Close()
	var list []*Command
	for rows.Next() {
		cmd, err := scan(rows)
		if err != nil {
			return err
		}
		list = append(list, cmd.public())
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, cmd := range list {
		cmd.Status, cmd.Error, cmd.FinishedAt = Failed, "the station was removed before it came back", tx.Now().Truncate(time.Microsecond)
		if _, err := tx.Exec(`UPDATE commands SET status = $2, error = $3, finished_at = $4, request = $5 WHERE id = $1 AND status = 'queued'`,
			cmd.ID, string(cmd.Status), cmd.Error, db.Micros(cmd.FinishedAt), cmd.Request); err != nil {
			return err
		}
		c.events.Record(tx, event.New(event.CommandFinished, cmd.Organisation, string(cmd.Station), tx.Now(), cmd.view()))
	}
	return nil
}
