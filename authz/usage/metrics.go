package usage

import (
	"hash/maphash"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func (g *Gatherer) shardOf(token string) *shard {
	return &g.shards[maphash.String(g.seed, token)%shardCount]
}

var (
	flushesDesc  = prometheus.NewDesc("patrol_usage_flush_total", "Writes of gathered usage.", []string{"result"}, nil)
	rowsDesc     = prometheus.NewDesc("patrol_usage_flush_rows_total", "Rows of usage written.", nil, nil)
	durationDesc = prometheus.NewDesc("patrol_usage_flush_duration_seconds", "How long the last write of usage took.", nil, nil)
	lastDesc     = prometheus.NewDesc("patrol_usage_flush_last_success_timestamp_seconds", "When usage was last written, or there was none to write.", nil, nil)
	keysDesc     = prometheus.NewDesc("patrol_usage_keys", "Distinct kinds of requests that are counted in memory.", nil, nil)
	foldedDesc   = prometheus.NewDesc("patrol_usage_folded_total", "Requests counted under a coarser key because there were too many distinct ones.", nil, nil)
	droppedDesc  = prometheus.NewDesc("patrol_usage_dropped_total", "Requests that were not counted because there were too many distinct ones.", []string{"what"}, nil)
)

// Describe implements prometheus.Collector.
func (g *Gatherer) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{flushesDesc, rowsDesc, durationDesc, lastDesc, keysDesc, foldedDesc, droppedDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g *Gatherer) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, n int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	failed := g.stats.failures.Load()
	counter(flushesDesc, g.stats.flushes.Load()-failed, "written")
	counter(flushesDesc, failed, "failed")
	counter(rowsDesc, g.stats.rows.Load())
	gauge(durationDesc, math.Float64frombits(g.stats.seconds.Load()))
	if at := g.stats.lastFlush.Load(); at > 0 {
		gauge(lastDesc, float64(at)/float64(time.Second/time.Millisecond))
	}
	gauge(keysDesc, float64(g.Keys()))
	counter(foldedDesc, g.stats.folded.Load())
	counter(droppedDesc, g.stats.dropped.Load(), "request")
	counter(droppedDesc, g.stats.unknownDropped.Load(), "unknown_token")
}

// Keys counts the kinds of requests that are counted apart now.
func (g *Gatherer) Keys() int {
	n := 0
	for i := range g.shards {
		s := &g.shards[i]
		s.mu.Lock()
		n += len(s.cells)
		s.mu.Unlock()
	}
	return n
}
