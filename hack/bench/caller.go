package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
)

// caller calls tools over one kept connection, and reads every answer.
type caller struct {
	conn  net.Conn
	from  *bufio.Reader
	host  string
	token string
}

// close ends the connection, which says all that there is to say.
func (c *caller) close() { _ = c.conn.Close() }

// calls counts all that were ever made: each has an id of its own.
var calls atomic.Int64

func newCaller(addr, token string) (*caller, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &caller{conn: conn, from: bufio.NewReader(conn), host: addr, token: token}, nil
}

const head = "%s /mcp HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n" +
	"Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2025-11-25\r\nUser-Agent: bench\r\nContent-Length: %d\r\n\r\n%s"

// call asks for the weather in a city that nobody else asks for.
func (c *caller) call() error {
	id := calls.Add(1)
	city := fmt.Sprintf("Utrecht %d", id)
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"get_forecast","arguments":{"city":%q}}}`, id, city)
	if _, err := fmt.Fprintf(c.conn, head, http.MethodPost, c.host, c.token, len(body), body); err != nil {
		return err
	}
	w, err := http.ReadResponse(c.from, nil)
	if err != nil {
		return err
	}
	defer w.Body.Close()
	got, err := io.ReadAll(w.Body)
	if err != nil {
		return err
	}
	var m message
	if err := json.Unmarshal(got, &m); err != nil || w.StatusCode != http.StatusOK || m.ID != int(id) ||
		m.Result == nil || len(m.Result.Content) != 1 || !strings.HasPrefix(m.Result.Content[0].Text, city+"Sunny") {
		return fmt.Errorf("asked for %s, answered %s: %.200s", city, w.Status, got)
	}
	return nil
}

// listen opens a stream, and returns when it has begun.
func (c *caller) listen() error {
	if _, err := fmt.Fprintf(c.conn, head, http.MethodGet, c.host, c.token, 0, ""); err != nil {
		return err
	}
	w, err := http.ReadResponse(c.from, nil) //nolint:bodyclose // it ends with the connection
	if err != nil {
		return err
	}
	if w.StatusCode != http.StatusOK || w.Header.Get("Content-Type") != "text/event-stream" {
		return fmt.Errorf("a stream is answered %s", w.Status)
	}
	return nil
}
