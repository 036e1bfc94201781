package account

import (
	"context"

	"lumela/internal/db"
	"lumela/internal/problem"
)

// Restored ends every sign-in of a database that comes from a backup or another installation: who has signed out since the
// copy was taken would be signed in again.
func (a *Accounts) Restored(ctx context.Context) error {
	err := a.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`DELETE FROM sign_ins`)
		return err
	})
	return problem.Wrap("end the sign-ins", err)
}
