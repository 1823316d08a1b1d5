package main

// The stores that are elsewhere. Their tests start an API server, or an etcd.
var storesMutants = []mutant{
	{
		name: "patch-without-test",
		rule: "a patch tests each value that it replaces",
		file: "gateway/internal/store/kubernetes/patch.go",
		old: `b = appendOp(b, "test", field, w.key)
		b = appendValue(b, w.old)
		b = append(b, ',')`,
		new: ``,
		pkg: "gateway/internal/store/kubernetes", run: "TestConformance/Secret/of_racing",
	},
	{
		name: "lost-answer-is-conflict",
		rule: "a write whose answer was lost may have taken place: it is no conflict",
		file: "gateway/internal/store/kubernetes/commit.go",
		old:  `w.doubt = w.doubt || really`,
		new:  `w.doubt = false`,
		pkg:  "gateway/internal/store/kubernetes", run: "TestALostAnswerAndAChangeOnTop|TestALostAnswerAndADeletion",
	},
	{
		name: "api-server-quoted",
		rule: "the API server's words, which can quote a record, are in no error and no log",
		file: "gateway/internal/apiserver/client.go",
		old:  "Reason  string `json:\"reason\"`",
		new:  "Reason string `json:\"message\"`",
		pkg:  "gateway/internal/store/kubernetes", run: "TestAValidationErrorIsNotQuoted",
	},
	{
		name: "etcd-without-compare",
		rule: "a transaction compares the value that it replaces",
		file: "gateway/internal/store/etcd/write.go",
		old:  `s.client.Txn(ctx).If(compare).Then(op)`,
		new:  `s.client.Txn(ctx).If([]clientv3.Cmp{compare}[:0]...).Then(op)`,
		pkg:  "gateway/internal/store/etcd", run: "TestConformance/of_racing",
	},
	{
		name: "half-moved-is-served",
		rule: "a store that may not have every record is not served from",
		file: "gateway/internal/store/migration/store.go",
		old:  `return s.why`,
		new:  `return nil`,
		pkg:  "gateway/internal/store/migration", run: "TestLeftBeforeDone",
	},
	{
		name: "two-copy-at-once",
		rule: "one replica copies, and the others wait until its lease has lapsed",
		file: "gateway/internal/store/migration/move.go",
		old:  `if now.State == copying && time.Since(m.since) < m.lease {`,
		new:  `if false {`,
		pkg:  "gateway/internal/store/migration", run: "TestACopierDies",
	},
}
