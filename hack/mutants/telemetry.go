package main

// What others see of a gateway.
var telemetryMutants = []mutant{
	{
		name: "metrics-on-the-public-port",
		rule: "the metrics cannot be had where strangers are",
		file: "gateway/router.go",
		old:  `mux.Handle(prefix+"/", rest(prefix+"/"))`,
		new:  `mux.Handle(prefix+"/", rest(prefix+"/")); mux.Handle("/metrics", p.metrics.Handler())`,
		pkg:  "gateway", run: "TestAttackMetricsFromOutside",
	},
	{
		name: "metrics-always",
		rule: "nothing is counted if metrics are off",
		file: "gateway/gateway.go",
		old:  `if cfg.Metrics {`,
		new:  `if true {`,
		pkg:  "gateway", run: "TestNobodyCountsIfMetricsAreOff",
	},
	{
		name: "methods-as-labels",
		rule: "a method that nothing is served for becomes no label",
		file: "gateway/internal/telemetry/answer.go",
		old: `		return r.Method
	}
	return other`,
		new: `		return r.Method
	}
	return r.Method`,
		pkg: "gateway", run: "TestAttackSeriesFlood",
	},
	{
		name: "any-status-as-label",
		rule: "a status that does not exist becomes no label",
		file: "gateway/internal/telemetry/answer.go",
		old: `statuses[status] == "" {
		return other`,
		new: `statuses[status] == "" {
		return strconv.Itoa(status)`,
		pkg: "gateway", run: "TestAttackSeriesFlood",
	},
	{
		name: "streams-counted-for-good",
		rule: "a stream is counted as open until it ends, even if it breaks off",
		file: "gateway/internal/telemetry/requests.go",
		old:  `streams.Dec()`,
		new:  `_ = streams`,
		pkg:  "gateway/internal/telemetry", run: "TestWhatIsCountedOfAnAnswer",
	},
	{
		name: "interim-answers-counted",
		rule: "an interim answer is not the answer",
		file: "gateway/internal/telemetry/answer.go",
		old:  `if a.status == 0 && status >= http.StatusOK {`,
		new:  `if a.status == 0 {`,
		pkg:  "gateway/internal/telemetry", run: "TestWhatIsCountedOfAnAnswer",
	},
	{
		name: "paths-in-spans",
		rule: "a span names the path as it is configured, not as it was sent",
		file: "gateway/internal/telemetry/spans.go",
		old:  `method+" "+pattern, trace`,
		new:  `method+" "+r.URL.Path, trace`,
		pkg:  "gateway", run: "TestTraces",
	},
	{
		name: "queries-in-spans",
		rule: "a span has nothing of a query",
		file: "gateway/internal/telemetry/spans.go",
		old:  `attribute.String("server.address", r.URL.Host)`,
		new:  `attribute.String("server.address", r.URL.String())`,
		pkg:  "gateway", run: "TestTraces",
	},
	{
		name: "sampled-by-the-sender",
		rule: "that a sender has its trace recorded does not have it recorded here",
		file: "gateway/internal/telemetry/tracing.go",
		old:  `sdktrace.WithRemoteParentSampled(some), `,
		new:  ``,
		pkg:  "gateway/internal/telemetry", run: "TestStrangersDoNotDecideWhatIsTraced",
	},
	{
		name: "trace-state-without-trace",
		rule: "the state of a trace is not passed on without its id",
		file: "gateway/internal/telemetry/spans.go",
		old:  `out.Header.Del("Tracestate")`,
		new:  ``,
		pkg:  "gateway", run: "TestABadTraceparentIsReplaced",
	},
	{
		name: "profiles-for-all",
		rule: "profiles are served at a loopback address and at no other",
		file: "cmd/gateway/profiles.go",
		old:  `"-pprof-addr", address, "127.0.0.1:6060"); err != nil {`,
		new:  `"-pprof-addr", address, "127.0.0.1:6060"); err != nil && address == "" {`,
		pkg:  "cmd/gateway", run: "TestWhatCannotWorkIsSaidAtTheStart",
	},
	{
		name: "profiles-for-who-knows",
		rule: "nobody serves the handlers that packages put there by themselves",
		file: "gateway/serve.go",
		old:  `mux := http.NewServeMux()`,
		new:  `mux := http.DefaultServeMux`,
		pkg:  "cmd/gateway", run: "TestItServesUntilItIsTold",
	},
}
