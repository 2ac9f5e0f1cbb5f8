package telemetry

import "github.com/prometheus/client_golang/prometheus"

// evaluatorMetrics count how the compiled policy fares beside OPA's
// interpreter.
type evaluatorMetrics struct {
	fallbacks          *prometheus.CounterVec
	compared, differed prometheus.Counter
}

func (e *evaluatorMetrics) register(r prometheus.Registerer) {
	e.fallbacks = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "patrol_evaluator_fallbacks_total", Help: "Evaluations that the compiled policy left to OPA's interpreter.",
	}, []string{"cause"})
	e.compared = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "patrol_evaluator_comparisons_total", Help: "Evaluations by the compiled policy that OPA's interpreter repeated.",
	})
	e.differed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "patrol_evaluator_differences_total", Help: "Differences between the compiled policy and OPA's interpreter; each switched the former off.",
	})
	r.MustRegister(e.fallbacks, e.compared, e.differed)
}

// EvaluatorFallback counts an evaluation that was left to OPA's interpreter.
func (m *Metrics) EvaluatorFallback(cause string) {
	m.evaluator.fallbacks.WithLabelValues(cause).Inc()
}

// EvaluatorCompared counts an evaluation that was repeated.
func (m *Metrics) EvaluatorCompared() { m.evaluator.compared.Inc() }

// EvaluatorDiffered counts a difference: an alarm.
func (m *Metrics) EvaluatorDiffered() { m.evaluator.differed.Inc() }

var evaluatorDesc = prometheus.NewDesc("patrol_evaluator_info", "What evaluates policy at the moment.", []string{"evaluator"}, nil)

// collectEvaluator tells which evaluator serves.
func (s *state) collectEvaluator(ch chan<- prometheus.Metric) {
	if s.Evaluator == nil {
		return
	}
	if name := s.Evaluator(); name != "" {
		ch <- prometheus.MustNewConstMetric(evaluatorDesc, prometheus.GaugeValue, 1, name)
	}
}
