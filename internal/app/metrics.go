package app

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the node's figures for Prometheus.
type metrics struct{ registry *prometheus.Registry }

func newMetrics(n *node) *metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	gauge := func(name, help string, f func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "lumela", Name: name, Help: help}, f))
	}
	counter := func(name, help string, f func() int64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "lumela", Name: name, Help: help}, func() float64 { return float64(f()) }))
	}
	g := n.gateway
	gauge("stations_connected", "Stations with a link to this node.", func() float64 { return float64(g.Links()) })
	counter("links_accepted_total", "Links that were let in.", g.Counters.Accepted.Load)
	counter("links_refused_total", "Connections that were refused.", g.Counters.Refused.Load)
	counter("links_replaced_total", "Links that a newer one of the same station replaced.", g.Counters.Replaced.Load)
	counter("frames_in_total", "OCPP frames received.", g.Counters.FramesIn.Load)
	counter("frames_out_total", "OCPP frames sent.", g.Counters.FramesOut.Load)
	counter("frames_not_logged_total", "Frames that the log did not keep because the disk was too slow.", n.frames.Dropped)
	counter("db_writes_total", "Units of work written to the database.", func() int64 { return n.db.Stats().Writes })
	gauge("database_healthy", "1 while what stations say can be stored, 0 during an outage.", func() float64 { return healthy(n.db) })
	gauge("frame_log_healthy", "1 while frames can be logged, 0 while they are lost.", func() float64 { return healthy(n.frames) })
	counter("integrity_errors_total", "Damages found in the database and in stored messages since the start.", func() int64 { return n.damages.Load() + n.ledger.Damages() })
	counter("database_outages_total", "Outages of the database since the start.", n.db.Outages)
	counter("db_commits_total", "Transactions committed; several units share one.", func() int64 { return n.db.Stats().Commits })
	if n.clustered() {
		gauge("cluster_nodes", "Nodes that serve, this one included, as of the last heartbeat.", func() float64 { return float64(n.member.Alive()) })
		gauge("cluster_heartbeat_age_seconds", "Time since the last heartbeat that reached the database.", func() float64 { return n.member.Silence().Seconds() })
	}
	gauge("bus_connected", "1 when the bus between the nodes is reached.", func() float64 {
		if n.bus.Healthy() {
			return 1
		}
		return 0
	})
	counter("cluster_nodes_declared_dead_total", "Nodes that this one declared dead.", n.member.Counters.Declared.Load)
	counter("cluster_renamed_total", "Times that the others took this node for dead.", n.member.Counters.Renamed.Load)
	counter("cluster_cut_off_total", "Times that this node sent its stations away because it did not reach the database.", n.member.Counters.CutOff.Load)
	counter("links_stale_total", "Links closed because the database had another one for their station.", g.Counters.Stale.Load)
	return &metrics{registry: r}
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func healthy(d interface{ Healthy() error }) float64 {
	if d.Healthy() != nil {
		return 0
	}
	return 1
}
