package main

// Tokens, keys, what is sealed, and what is decided on which copy of a record.
var storeMutants = []mutant{
	{
		name: "token-forged",
		rule: "a token that was not minted here is refused without a look at the store",
		edit: never,
		pkg:  "gateway/internal/tokens", run: "TestATokenOfWhichABitIsChangedIsForged",
	},
	{
		name: "token-expired",
		rule: "a token ends when it says",
		edit: never,
		pkg:  "gateway/internal/tokens", run: "TestATokenExpiresOnTheSecond",
	},
	{
		name: "token-spelled-twice",
		rule: "a token has one spelling, so that its hash is its own",
		edit: replace("strict.Decode", "base64.RawURLEncoding.Decode"),
		pkg:  "gateway/internal/tokens", run: "TestATokenHasOneSpelling",
	},
	{
		name: "secret-guessable",
		rule: "a secret is random",
		edit: replace("s[:]", "s[:1]"),
		pkg:  "gateway/internal/tokens", run: "TestSecretsAreNotGuessed",
	},
	{
		name: "new-key-at-once",
		rule: "a new key is minted with only once every replica has it",
		edit: always,
		pkg:  "gateway/internal/keys", run: "TestANewKeyIsMintedWithOnceItsTimeHasCome",
	},
	{
		name: "one-key-for-all-uses",
		rule: "each use of a root secret has a key of its own",
		edit: replace("label", "label[:0]"),
		pkg:  "gateway/internal/keys", run: "TestEachUseHasAKeyOfItsOwn",
	},
	{
		name: "ambiguous-parts",
		rule: "no two lists of parts authenticate alike",
		edit: remove,
		pkg:  "gateway/internal/keys", run: "TestNoTwoListsOfPartsDeriveTheSame",
	},
	{
		name: "one-key-for-all-records",
		rule: "what is sealed in one context opens in no other",
		edit: replace("context", "context[:0]"),
		pkg:  "gateway/internal/keys", run: "TestWhatIsSealedInOneContextOpensInNoOther",
	},
	{
		name: "record-of-another-server",
		rule: "a record opens on its own server alone",
		edit: remove,
		pkg:  "gateway/internal/records", run: "TestARecordOpensOnlyAsWhatItWasSealedAs",
	},
	{
		name: "record-of-another-kind",
		rule: "a client's record does not open as a grant's",
		edit: remove,
		pkg:  "gateway/internal/records", run: "TestARecordOpensOnlyAsWhatItWasSealedAs",
	},
	{
		name: "record-lives-longer",
		rule: "who can write to the store cannot change when a record expires",
		edit: replace("append(b, head...)", "b"),
		pkg:  "gateway/internal/records", run: "TestARecordOpensOnlyAsWhatItWasSealedAs",
	},
	{
		name: "cookie-of-another-server",
		rule: "what one server has sealed for a browser, no other opens",
		edit: replace("append(append([]byte{}, head...), b.ServerUID...)", "head"),
		pkg:  "gateway/internal/seal", run: "TestWhatTheBrowserCarriesOpensHereOnly",
	},
	{
		name: "cookie-without-end",
		rule: "what a browser carries ends",
		edit: without("b.Now"),
		pkg:  "gateway/internal/seal", run: "TestItExpires",
	},
	{
		name: "refused-on-copy",
		rule: "a refusal is decided on the store itself, and never on the copy",
		edit: never,
		pkg:  "gateway/internal/records", run: "TestOnTheCopyOnlyAWriteCounts",
	},
	{
		name: "copy-always-fresh",
		rule: "a copy that has heard nothing for long is not believed",
		edit: always,
		pkg:  "gateway/internal/records", run: "TestReadsComeFromTheCopyWhileItIsFresh",
	},
	{
		name: "expired-record",
		rule: "a record that has expired is gone, though nobody has swept it",
		edit: never,
		pkg:  "gateway/internal/records", run: "TestAnExpiredRecordIsGone",
	},
	{
		name: "unreadable-is-absent",
		rule: "a record that does not open is not taken for one that is not there",
		edit: replace("Unavailable", "NotFound"),
		pkg:  "gateway/internal/records", run: "TestARecordThatDoesNotOpenIsUnavailableAndLogged",
	},
	{
		name: "last-writer-wins",
		rule: "of two who write over the same value, one does",
		edit: replace("(now == nil) != (w.old == nil) ||", "now == nil && w.old != nil &&"),
		pkg:  "gateway/internal/store/memory", run: "TestConformance/process/of_racing",
	},
	{
		name: "sweep-of-the-living",
		rule: "the sweep takes what has expired, and nothing else",
		edit: replace("now.After(expires)", "!now.Before(expires.Add(-time.Hour))"),
		pkg:  "gateway/internal/store/memory", run: "TestConformance",
	},
	{
		name: "compromised-key",
		rule: "what is under a key that was dropped has ended",
		edit: first(`for _, k := range now.keys {
			next.byID[k.ID] = k
		}`),
		pkg: "gateway", run: "TestWhatIsUnderADroppedKeyHasEnded",
	},
	{
		name: "dropped-key-on-its-way",
		rule: "a key that was dropped is not waited for",
		edit: never,
		pkg:  "gateway/internal/keys", run: "TestWhichKeysAreOnTheirWay",
	},
	{
		name: "key-on-its-way-unknown",
		rule: "nothing is refused for a key that another replica had first",
		edit: replace("<= ahead", "< 0"),
		pkg:  "gateway/internal/keys", run: "TestWhichKeysAreOnTheirWay",
	},
	{
		name: "another-key-under-the-id",
		rule: "a key does not become another: all would be signed out",
		edit: never,
		pkg:  "gateway/internal/keys", run: "TestKeysAreReplacedByThoseThatContinueThem",
	},
}
