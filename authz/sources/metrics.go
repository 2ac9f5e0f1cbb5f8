package sources

import "github.com/prometheus/client_golang/prometheus"

// metrics count by source, endpoint and result: nothing that a client chooses.
type metrics struct {
	tokens, records, introspections *prometheus.CounterVec
	seconds                         *prometheus.HistogramVec
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "patrol_" + name, Help: help}, labels)
	}
	return &metrics{
		tokens:         counter("source_tokens_total", "Tokens of other sources by what the mapping made of their claims.", "source", "result"),
		records:        counter("source_records_total", "Records of tokens of other sources that were to be made or widened.", "source", "result"),
		introspections: counter("introspections_total", "Tokens that were asked about, by how they were answered.", "endpoint", "result"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "patrol_introspection_duration_seconds", Help: "Time that an endpoint took to answer.", Buckets: []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5},
		}, []string{"endpoint"}),
	}
}

func (m *metrics) token(source, result string)  { m.tokens.WithLabelValues(source, result).Inc() }
func (m *metrics) record(source, result string) { m.records.WithLabelValues(source, result).Inc() }

func (m *metrics) asked(endpoint, result string) {
	m.introspections.WithLabelValues(endpoint, result).Inc()
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.tokens, m.records, m.introspections, m.seconds}
}

// Describe implements prometheus.Collector.
func (s *Sources) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range s.metrics.all() {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (s *Sources) Collect(ch chan<- prometheus.Metric) {
	for _, c := range s.metrics.all() {
		c.Collect(ch)
	}
}
