package command

import (
	"context"
	"fmt"
	"time"

	"lumela/internal/db"
)

// Restored settles, in a database that comes from a backup or another installation, the commands that are not finished.
// Those that were queued before keep end as expired: nobody may remember them any more, and whether they were sent after
// the copy was taken is not known. Those that were on their way are unclear.
func (c *Commands) Restored(ctx context.Context, taken, keep time.Time) error {
	text := fmt.Sprintf("not sent: it waited in a copy of %s from which Lumela was restored; send it again if it is still wanted", taken.UTC().Format(time.RFC3339))
	if err := c.settleAll(ctx, `status = 'queued' AND created_at < $1`, Expired, text, db.Micros(keep)); err != nil {
		return err
	}
	return c.settleAll(ctx, `status = 'sent'`, Unclear, "it was on its way when the copy was taken from which Lumela was restored; the station may have acted")
}
