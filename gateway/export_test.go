package gateway

import (
	"net/http"
	"time"
)

// AnswerWithin bounds requests to the authorization server by another time, until
// the function that it returns is called.
func AnswerWithin(d time.Duration) (restore func()) {
	before := answerWithin
	answerWithin = d
	return func() { answerWithin = before }
}

// Handler serves all paths.
func Handler(g *Gateway) http.Handler { return g.handler }
