package telemetry

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/store"
)

const page = "../../../docs/observability.md"

var update = flag.Bool("update", false, "write the metrics into "+page)

// table is the page's list of metrics.
func table(m *Metrics) string {
	var b strings.Builder
	b.WriteString("| metric | type | labels | what it says |\n|---|---|---|---|\n")
	for _, d := range m.described {
		var labels []string
		for _, l := range d.labels {
			labels = append(labels, "`"+l+"`")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.name, d.kind, strings.Join(labels, ", "), d.help)
	}
	return b.String()
}

// asked are metrics with all there can be.
func asked() *Metrics {
	m := NewMetrics()
	m.Ask(State{
		Now: time.Now, Records: func(store.Kind) (int, int) { return 0, 0 }, MintingSince: time.Now,
		PolicyGood: func() bool { return true }, KeysGood: func() bool { return true }, CertificateEnds: time.Now,
	})
	return m
}

var rows = regexp.MustCompile(`(?m)^\| metric \|.*\n(\|.*\n)+`)

func TestThePageListsTheMetrics(t *testing.T) {
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	want := rows.ReplaceAllLiteralString(string(got), table(asked()))
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(got) != want {
		t.Errorf("the table of %s is not that of the metrics: go test ./gateway/internal/telemetry -update", page)
	}
}

// Rules of the page that name what does not exist would never fire.
func TestTheAlertsAreOfMetricsThatExist(t *testing.T) {
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	m := asked()
	alerts := 0
	for _, expression := range regexp.MustCompile(`(?m)^ +expr: (.+)$`).FindAllStringSubmatch(string(content), -1) {
		alerts++
		for _, used := range regexp.MustCompile(`(vestibule_gateway_[a-z_]+)(?:\{([^}]*)\})?`).FindAllStringSubmatch(expression[1], -1) {
			i := slices.IndexFunc(m.described, func(d description) bool {
				return used[1] == d.name || d.kind == "histogram" &&
					slices.Contains([]string{d.name + "_count", d.name + "_sum", d.name + "_bucket"}, used[1])
			})
			if i < 0 {
				t.Errorf("an alert is of %s, which does not exist", used[1])
				continue
			}
			for _, label := range regexp.MustCompile(`([a-z_]+)[=!]`).FindAllStringSubmatch(used[2], -1) {
				if !slices.Contains(m.described[i].labels, label[1]) {
					t.Errorf("an alert asks for the label %s of %s, which it does not have", label[1], used[1])
				}
			}
		}
	}
	if alerts < 5 {
		t.Errorf("the page has only %d alerts", alerts)
	}
}
