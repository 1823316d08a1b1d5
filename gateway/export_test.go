package gateway

import "time"

// AnswerWithin bounds requests to the authorization server by another time, until
// the function that it returns is called.
func AnswerWithin(d time.Duration) (restore func()) {
	before := answerWithin
	answerWithin = d
	return func() { answerWithin = before }
}

// LookForKeysEvery lets gateways that start look for new keys as often as that, until
// the function that it returns is called.
func LookForKeysEvery(d time.Duration) (restore func()) {
	before := keysEvery
	keysEvery = d
	return func() { keysEvery = before }
}
