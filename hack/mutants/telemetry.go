package main

// What others see of a gateway.
var telemetryMutants = []mutant{
	{
		name: "metrics-on-the-public-port",
		rule: "the metrics cannot be had where strangers are",
		edit: then(`mux.Handle("/metrics", p.metrics.Handler())`),
		pkg:  "gateway", run: "TestAttackMetricsFromOutside",
	},
	{
		name: "metrics-always",
		rule: "nothing is counted if metrics are off",
		edit: always,
		pkg:  "gateway", run: "TestNobodyCountsIfMetricsAreOff",
	},
	{
		name: "methods-as-labels",
		rule: "a method that nothing is served for becomes no label",
		edit: replace("other", "r.Method"),
		pkg:  "gateway", run: "TestAttackSeriesFlood",
	},
	{
		name: "any-status-as-label",
		rule: "a status that does not exist becomes no label",
		edit: replace("other", "strconv.Itoa(status)"),
		pkg:  "gateway", run: "TestAttackSeriesFlood",
	},
	{
		name: "streams-counted-for-good",
		rule: "a stream is counted as open until it ends, even if it breaks off",
		edit: remove,
		pkg:  "gateway/internal/telemetry", run: "TestWhatIsCountedOfAnAnswer",
	},
	{
		name: "interim-answers-counted",
		rule: "an interim answer is not the answer",
		edit: without("http.StatusOK"),
		pkg:  "gateway/internal/telemetry", run: "TestWhatIsCountedOfAnAnswer",
	},
	{
		name: "paths-in-spans",
		rule: "a span names the path as it is configured, not as it was sent",
		edit: replace("pattern", "r.URL.Path"),
		pkg:  "gateway", run: "TestTraces",
	},
	{
		name: "queries-in-spans",
		rule: "a span has nothing of a query",
		edit: replace("r.URL.Host", "r.URL.String()"),
		pkg:  "gateway", run: "TestTraces",
	},
	{
		name: "sampled-by-the-sender",
		rule: "that a sender has its trace recorded does not have it recorded here",
		edit: remove,
		pkg:  "gateway/internal/telemetry", run: "TestStrangersDoNotDecideWhatIsTraced",
	},
	{
		name: "trace-state-without-trace",
		rule: "the state of a trace is not passed on without its id",
		edit: remove,
		pkg:  "gateway", run: "TestABadTraceparentIsReplaced",
	},
	{
		name: "profiles-for-all",
		rule: "profiles are served at a loopback address and at no other",
		edit: replace("err != nil", `err != nil && address == ""`),
		pkg:  "cmd/gateway", run: "TestWhatCannotWorkIsSaidAtTheStart",
	},
	{
		name: "profiles-on-the-default-mux",
		rule: "nobody serves the handlers that packages put there by themselves",
		edit: replace("NewServeMux()", "DefaultServeMux"),
		pkg:  "cmd/gateway", run: "TestItServesUntilItIsTold",
	},
}
