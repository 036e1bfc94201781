package app

import (
	"context"
	"time"

	"lumela/internal/history"
	"lumela/internal/retention"
)

// openHistory opens what adds up, and what forgets.
func (n *node) openHistory(ctx context.Context) {
	n.history = history.New(n.db, n.ledger, n.stations, n.log)
	const day = 24 * time.Hour
	n.keeper = retention.New(n.db, n.frames, n.ledger, retention.Periods{MeterValues: time.Duration(n.cfg.MeterValueDays) * day,
		Sessions: time.Duration(n.cfg.SessionDays) * day, Audit: time.Duration(n.cfg.AuditDays) * day}, nil, n.log)
	if err := n.keeper.Prepare(ctx); err != nil { // the default partition takes what comes meanwhile
		n.log.Warn("no partitions for the next months yet", "error", err)
	}
}

// keepHistory schedules their work.
func (n *node) keepHistory() {
	n.jobs.Every("history", time.Minute, n.history.Update)
	n.jobs.Every("partitions", time.Hour, n.keeper.Prepare)
	n.jobs.Every("retention", 12*time.Hour, n.keeper.Run)
	n.jobs.Every("purge-audit", time.Hour, func(ctx context.Context) error {
		return n.audit.Purge(ctx, time.Duration(n.cfg.AuditDays)*24*time.Hour)
	})
}
