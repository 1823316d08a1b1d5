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
	{
		name: "left-store-served",
		rule: "a store whose records have moved away is not served from",
		file: "gateway/internal/store/migration/marker.go",
		old:  "case left:\n\t\treturn errLeft",
		new:  "case left:",
		pkg:  "gateway/internal/store/migration", run: "TestMarkers/one_that_was_moved_from",
	},
	{
		name: "moved-store-not-left",
		rule: "the old store is marked as left before the new one counts",
		file: "gateway/internal/store/migration/move.go",
		old:  `err = m.leave(writing, l)`,
		new:  `_ = m.leave`,
		pkg:  "gateway/internal/store/migration", run: "TestMarkers/a_first_move",
	},
	{
		name: "left-store-copied",
		rule: "nothing is copied from a store whose records have moved to another",
		file: "gateway/internal/store/migration/marker.go",
		old:  `m.State == left && (to.State != copying || !bytes.Equal(to.Move, m.Move))`,
		new:  `m.State == left && to.State != copying && bytes.Equal(nil, m.Move)`,
		pkg:  "gateway/internal/store/migration", run: "TestMarkers/from_a_store_that_was_left",
	},
	{
		name: "store-in-use-replaced",
		rule: "nothing is copied over the records of a store that is in use",
		file: "gateway/internal/store/migration/move.go",
		old:  `now.State == unmarked && len(m.target.live(m.now())) > 0`,
		new:  `false`,
		pkg:  "gateway/internal/store/migration", run: "TestMarkers/to_a_store_that_is_in_use",
	},
}
