// Package weather is an MCP server to try things out with: its forecasts are
// made up, always the same for the same city, and it needs nothing but itself.
package weather

import (
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Path is where Handler serves MCP.
const Path = "/mcp"

// sessionTimeout ends the sessions of clients that left without a word.
const sessionTimeout = time.Hour

// firstStateless is the first revision of the protocol without sessions.
// Revisions are dates, so later ones compare greater.
const firstStateless = "2026-07-28"

// Handler serves MCP over Streamable HTTP at Path, in every revision that the
// SDK knows: with sessions up to 2025-11-25, without from 2026-07-28 on. All
// callers see the same alerts; each call of Handler starts with none. With callers set,
// it serves whom the gateway has introduced alone, and tells them who they are; with nil,
// anybody.
func Handler(callers *Callers) http.Handler {
	server := newServer()
	if callers != nil {
		addWhoAmI(server)
	}
	get := func(*http.Request) *mcp.Server { return server }
	sessions := mcp.NewStreamableHTTPHandler(get, &mcp.StreamableHTTPOptions{SessionTimeout: sessionTimeout})
	stateless := mcp.NewStreamableHTTPHandler(get, &mcp.StreamableHTTPOptions{
		Stateless: true,
		// The request is all that such a client has: when it goes, nobody waits for the answer.
		PropagateRequestCancellation: true,
	})
	mux := http.NewServeMux()
	// One handler of the SDK serves either the revisions with sessions or those
	// without. Requests of the latter must name their revision in this header.
	mux.HandleFunc(Path, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Mcp-Protocol-Version") >= firstStateless {
			stateless.ServeHTTP(w, r)
			return
		}
		sessions.ServeHTTP(w, r)
	})
	if callers != nil {
		return callers.introduced(mux)
	}
	return mux
}

func newServer() *mcp.Server {
	server := mcp.NewServer(&mcp.Implementation{Name: "weather", Title: "Made-up weather", Version: "1.0.0"}, &mcp.ServerOptions{
		Instructions: "Forecasts for any city. They are made up: do not pack by them.",
	})
	a := newAlerts()
	addTools(server, a)
	addResource(server, a)
	addPrompt(server)
	return server
}
