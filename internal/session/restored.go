package session

import (
	"context"

	"lumela/internal/db"
	"lumela/internal/problem"
)

// Restored moves the journal of a database that has just been filled and that no ledger is open on. On PostgreSQL nobody
// would look for messages there.
func Restored(ctx context.Context, d *db.DB) error {
	err := d.Write(ctx, func(tx *db.Tx) error {
		if err := moveAll(tx); err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM session_journal`)
		return err
	})
	return problem.Wrap("move the journal", err)
}
