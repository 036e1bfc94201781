package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lumela/internal/archive"
)

// retryBackup is how soon a scheduled backup that failed is tried again, and so how late one may be.
const retryBackup = 10 * time.Minute

// scheduleBackups lets an embedded node back itself up from time to time.
func (n *node) scheduleBackups() {
	if n.cfg.BackupDir == "" {
		return
	}
	s := &archive.Schedule{Options: archive.BackupOptions{Dir: n.cfg.DataDir, Version: Version}, To: n.cfg.BackupDir,
		Every: n.cfg.BackupEvery, Keep: n.cfg.BackupKeep, Log: n.log}
	for _, m := range []struct {
		name, help string
		value      func() int64
	}{
		{"backup_last_success_timestamp_seconds", "When the newest scheduled backup was made; 0 for none.", s.Last.Load},
		{"backup_last_size_bytes", "Size of the newest scheduled backup since the start.", s.LastSize.Load},
		{"backups_made", "Scheduled backups made since the start.", s.Done.Load},
		{"backups_failed", "Scheduled backups that failed since the start.", s.Failed.Load},
	} {
		n.metrics.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "lumela", Name: m.name, Help: m.help},
			func() float64 { return float64(m.value()) }))
	}
	n.jobs.Every("backup", min(n.cfg.BackupEvery, retryBackup), func(ctx context.Context) error { return s.Run(ctx, time.Now()) })
}
