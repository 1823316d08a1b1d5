package manifest_test

import "fmt"

const (
	podMonitor  = "spec.gateway.podMonitor"
	labelsFalse = "gateway.podMonitor.labels must be labels"
)

// What leads to the gateway from outside, and to its metrics.
var exposureRows = []row{
	{"a PodMonitor", edits{podMonitor: object{}}, ""},
	{"a PodMonitor without metrics", edits{podMonitor: object{}, "spec.gateway.metrics": "Disabled"}, "gateway.podMonitor must be unset unless"},
	{"intervalSeconds of 4", edits{podMonitor: object{"intervalSeconds": 4}}, "should be greater than or equal to 5"},
	{"intervalSeconds of 3600", edits{podMonitor: object{"intervalSeconds": 3600}}, ""},
	{"intervalSeconds of 3601", edits{podMonitor: object{"intervalSeconds": 3601}}, "should be less than or equal to 3600"},
	monitorLabels(object{"release": "prometheus", "example.com/team": "", "A_b.c": "1"}, ""),
	monitorLabels(pairs(16), ""), monitorLabels(pairs(17), "Too many"),
	monitorLabels(object{"a": long(63)}, ""), monitorLabels(object{"a": long(64)}, "Too long"),
	monitorLabels(object{"a b": "c"}, labelsFalse), monitorLabels(object{"a": "b c"}, labelsFalse), monitorLabels(object{"app.kubernetes.io/name": "else"}, labelsFalse),
}

func monitorLabels(labels object, refused string) row {
	return row{fmt.Sprintf("labels of a PodMonitor %.80v", labels), edits{podMonitor: object{"labels": labels}}, refused}
}

// pairs are n labels.
func pairs(n int) object {
	o := object{}
	for i := range n {
		o[fmt.Sprintf("l%d", i)] = "v"
	}
	return o
}
