package main

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

var metricNames = regexp.MustCompile(`patrol_[a-z_]+`)

// TestTheMetricsAreTheDocumentedOnes: docs/metrics.md names each that there is,
// and no other. Those of sources are there where some are configured.
func TestTheMetricsAreTheDocumentedOnes(t *testing.T) {
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := metricNames.FindAllString(string(page), -1)
	w := startApp(t, nil)
	descriptions := make(chan *prometheus.Desc)
	go func() {
		w.Metrics.Registry.Describe(descriptions)
		close(descriptions)
	}()
	var there []string
	for d := range descriptions {
		if name := metricNames.FindString(d.String()); name != "" {
			there = append(there, name)
		}
	}
	for _, name := range there {
		if !slices.Contains(documented, name) {
			t.Errorf("%s is not in docs/metrics.md", name)
		}
	}
	ofSources := regexp.MustCompile("^patrol_(source|introspection)")
	for _, name := range documented {
		if !slices.Contains(there, name) && !ofSources.MatchString(name) {
			t.Errorf("docs/metrics.md names %s, which there is not", name)
		}
	}
}
