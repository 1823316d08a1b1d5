package main

// The stores that are elsewhere. Their tests start an API server, or an etcd.
var storesMutants = []mutant{
	{
		name: "dead-writes-paid",
		rule: "writes whose callers have gone cost nothing of the budget",
		edit: always,
		pkg:  "gateway/internal/store/kubernetes", run: "TestWritesOfCallersThatHaveGoneCostNothing",
	},
	{
		name: "client-reads-without-number",
		rule: "made-up ids of clients cause a bounded number of reads",
		edit: never,
		pkg:  "gateway/internal/store/kubernetes", run: "TestAttackMadeUpClientIDs",
	},
	{
		name: "shards-made-up",
		rule: "a shard is read only once those before it were seen",
		edit: always,
		pkg:  "gateway/internal/store/kubernetes", run: "TestAShardThatIsAddedIsFound",
	},
	{
		name: "patch-without-test",
		rule: "a patch tests each value that it replaces",
		edit: replace(`"test"`, `"add"`),
		pkg:  "gateway/internal/store/kubernetes", run: "TestConformance/Secret/of_racing",
	},
	{
		name: "lost-answer-is-conflict",
		rule: "a write whose answer was lost may have taken place: it is no conflict",
		edit: never,
		pkg:  "gateway/internal/store/kubernetes", run: "TestALostAnswerAndAChangeOnTop|TestALostAnswerAndADeletion",
	},
	{
		name: "api-server-quoted",
		rule: "the API server's words, which can quote a record, are in no error and no log",
		edit: replace(`json:"reason"`, `json:"message"`),
		pkg:  "gateway/internal/store/kubernetes", run: "TestAValidationErrorIsNotQuoted",
	},
	{
		name: "etcd-without-compare",
		rule: "a transaction compares the value that it replaces",
		edit: replace("compare", "[]clientv3.Cmp{compare}[:0]..."),
		pkg:  "gateway/internal/store/etcd", run: "TestConformance/of_racing",
	},
	{
		name: "half-moved-is-served",
		rule: "a store that may not have every record is not served from",
		edit: replace("s.why", "nil"),
		pkg:  "gateway/internal/store/migration", run: "TestLeftBeforeDone",
	},
	{
		name: "two-copy-at-once",
		rule: "one replica copies, and the others wait until its lease has lapsed",
		edit: never,
		pkg:  "gateway/internal/store/migration", run: "TestACopierDies",
	},
	{
		name: "left-store-served",
		rule: "a store whose records have moved away is not served from",
		edit: remove,
		pkg:  "gateway/internal/store/migration", run: "TestMarkers/one_that_was_moved_from",
	},
	{
		name: "moved-store-not-left",
		rule: "the old store is marked as left before the new one counts",
		edit: instead("_ = m.leave"),
		pkg:  "gateway/internal/store/migration", run: "TestMarkers/a_first_move",
	},
	{
		name: "left-store-copied",
		rule: "nothing is copied from a store whose records have moved to another",
		edit: replace("(to.State != copying || !bytes.Equal(to.Move, m.Move))", "to.State != copying && bytes.Equal(nil, m.Move)"),
		pkg:  "gateway/internal/store/migration", run: "TestMarkers/from_a_store_that_was_left",
	},
	{
		name: "store-in-use-replaced",
		rule: "nothing is copied over the records of a store that is in use",
		edit: never,
		pkg:  "gateway/internal/store/migration", run: "TestMarkers/to_a_store_that_is_in_use",
	},
}
