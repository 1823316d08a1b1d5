// Package jsonrpc reads which operations a body asks an MCP server for. It is for
// who decides on them, so it refuses whatever another reader could understand
// differently: what Go takes for one tool, the backend may take for another.
package jsonrpc

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxBatch bounds the messages in a batch.
	maxBatch = 256
	// maxName bounds a method, a name and a URI, in bytes.
	maxName = 4 << 10
)

// Body is what was sent: one message or, in some revisions of MCP, a batch of them.
type Body struct {
	Calls []Call
	Batch bool
}

// Call is what one message asks for, whether it wants an answer or not.
type Call struct {
	// Method is empty for a message that is itself the answer to one of the server's.
	Method string
	// Name is what the call names: the tool, the prompt, or the resource's URI. Only
	// these methods name something.
	Name string
}

// The methods that name something, each with the parameter that does.
const (
	CallTool            = "tools/call"
	GetPrompt           = "prompts/get"
	ReadResource        = "resources/read"
	SubscribeResource   = "resources/subscribe"
	UnsubscribeResource = "resources/unsubscribe"
)

var naming = map[string]string{
	CallTool: "name", GetPrompt: "name",
	ReadResource: "uri", SubscribeResource: "uri", UnsubscribeResource: "uri",
}

// Error is why a body is not taken. It quotes nothing of the body.
type Error struct {
	// Code is one of JSON-RPC's or MCP's.
	Code    int
	Message string
}

func (e *Error) Error() string { return e.Message }

// Codes of errors.
const (
	CodeParseError     = -32700
	CodeInvalidRequest = -32600
	CodeInvalidParams  = -32602
	CodeHeaderMismatch = -32020
)

func invalid(format string, args ...any) *Error {
	return &Error{CodeInvalidRequest, fmt.Sprintf(format, args...)}
}

// Parse reads a body. Its error is an *Error.
func Parse(body []byte) (Body, error) {
	parsed, err := parse(body)
	if _, ok := errors.AsType[*Error](err); err != nil && !ok {
		err = &Error{CodeParseError, err.Error()}
	}
	return parsed, err
}

func parse(body []byte) (b Body, err error) {
	if !utf8.Valid(body) {
		return Body{}, errors.New("the body is not UTF-8")
	}
	s := &scanner{data: body}
	read := func() error {
		if len(b.Calls) == maxBatch {
			return invalid("a batch has more than %d messages", maxBatch)
		}
		c, err := s.message()
		b.Calls = append(b.Calls, c)
		return err
	}
	if b.Batch = s.peek() == '['; b.Batch {
		err = s.array(read)
	} else {
		err = read()
	}
	switch {
	case err != nil:
		return Body{}, err
	case len(b.Calls) == 0:
		return Body{}, invalid("a batch has no message")
	//rule:behind-the-message
	case s.peek() != 0 || s.pos < len(body):
		return Body{}, errors.New("there is something behind the message")
	}
	return b, nil
}

// members are those of a message that mean something.
var members = []string{"method", "params", "result", "error", "jsonrpc", "id"}

// message reads one.
func (s *scanner) message() (Call, error) {
	if s.peek() != '{' {
		if err := s.value(); err != nil {
			return Call{}, err
		}
		return Call{}, invalid("a message must be an object")
	}
	var method []byte
	var params []parameter
	answer := false
	err := s.object(func(name []byte) (err error) {
		switch string(name) {
		case "method":
			if s.peek() != '"' {
				return invalid("method must be a string")
			}
			method, err = s.text()
			return err
		case "params":
			params, err = s.parameters()
			return err
		case "result", "error":
			answer = true
		default:
			if slices.ContainsFunc(members, func(m string) bool { return mistakable(name, m) }) {
				return invalid("a message has a member that can be taken for another")
			}
		}
		return s.value()
	})
	switch {
	case err != nil:
		return Call{}, err
	case method == nil && answer:
		return Call{}, nil
	case method == nil:
		return Call{}, invalid("a message must have a method, or be an answer")
	}
	return call(method, params)
}

// call returns the call of a method with these parameters.
func call(method []byte, params []parameter) (Call, error) {
	if !plain(method) {
		return Call{}, invalid("method must be "+plainly, maxName)
	}
	c := Call{Method: string(method)}
	by, ok := naming[c.Method]
	if !ok {
		for known := range naming {
			if strings.EqualFold(known, c.Method) {
				return Call{}, invalid("method can be taken for another")
			}
		}
		return c, nil
	}
	var named parameter
	if i := slices.IndexFunc(params, func(p parameter) bool { return p.name == by }); i >= 0 {
		named = params[i]
	}
	switch {
	case named.mistakable:
		return Call{}, &Error{CodeInvalidParams, "params has a member that can be taken for " + by}
	case !plain(named.text):
		return Call{}, &Error{CodeInvalidParams, fmt.Sprintf("params.%s must be "+plainly, by, maxName)}
	}
	c.Name = string(named.text)
	return c, nil
}

const plainly = "a string of at most %d bytes, without blanks around it and control characters"

// plain says whether a name is the same to everybody, also to who trims what they read.
func plain(name []byte) bool {
	return len(name) > 0 && len(name) <= maxName && len(bytes.TrimSpace(name)) == len(name) &&
		!bytes.ContainsFunc(name, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf) })
}

// mistakable says whether some reader would take name for the other: Go's own does not
// tell capitals apart, and in JavaScript __proto__ can stand in for all.
func mistakable(name []byte, other string) bool {
	//rule:capitals
	return string(name) != other && strings.EqualFold(string(name), other) || string(name) == "__proto__"
}

// parameter is one that can name something.
type parameter struct {
	name string
	// text is what it says, if it is there and a string.
	text []byte
	// mistakable says that another member can be taken for it.
	mistakable bool
}

// parameters reads params of any type, and keeps what could name something.
func (s *scanner) parameters() ([]parameter, error) {
	if s.peek() != '{' {
		return nil, s.value()
	}
	params := []parameter{{name: "name"}, {name: "uri"}}
	err := s.object(func(name []byte) (err error) {
		for i := range params {
			p := &params[i]
			if string(name) == p.name && s.peek() == '"' {
				p.text, err = s.text()
				return err
			}
			p.mistakable = p.mistakable || mistakable(name, p.name)
		}
		return s.value()
	})
	return params, err
}
