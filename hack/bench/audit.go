package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// requests are what the controller asked of the API server, by verb and resource, and
// in all. Its lease and its watches are not in it.
type requests struct {
	by            map[string]int
	reads, writes int
	// servers are the MCPServers that a write was about, by the name of the object.
	servers map[string]bool
	// watches and lease are how often it watched something, and took or kept its lease.
	watches, lease int
}

func (r *requests) total() int { return r.reads + r.writes }

// auditLog is what the API server writes about the controller.
type auditLog struct {
	path string
	at   int64
}

// event is what is read of a line of it.
type event struct {
	Stage     string `json:"stage"`
	Verb      string `json:"verb"`
	ObjectRef struct {
		Resource    string `json:"resource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
		Subresource string `json:"subresource"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

// next counts what was logged since the last time.
func (l *auditLog) next() (*requests, error) {
	r := &requests{by: map[string]int{}, servers: map[string]bool{}}
	file, err := os.Open(l.path)
	if errors.Is(err, os.ErrNotExist) {
		return r, nil // there was no request yet
	}
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	if _, err := file.Seek(l.at, io.SeekStart); err != nil {
		return nil, err
	}
	for lines := bufio.NewReader(file); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return r, nil // the rest of a line is read next time
		}
		if err != nil {
			return nil, err
		}
		l.at += int64(len(line))
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("the audit log: %w", err)
		}
		r.add(&e)
	}
}

func (r *requests) add(e *event) {
	resource := e.ObjectRef.Resource
	if e.ObjectRef.Subresource != "" {
		resource += "/" + e.ObjectRef.Subresource
	}
	switch {
	case e.Verb == "watch":
		if e.Stage == "ResponseStarted" {
			r.watches++
		}
		return
	case resource == "leases" || resource == "events":
		r.lease++
		return
	case resource == "": // discovery
		resource = "what there is"
	}
	if e.Verb == "get" || e.Verb == "list" {
		r.reads++
	} else {
		r.writes++
		name, _, _ := strings.Cut(e.ObjectRef.Name, "-gateway")
		r.servers[e.ObjectRef.Namespace+"/"+name] = true
	}
	what := e.Verb + " " + resource
	if e.ResponseStatus.Code >= 400 {
		what += fmt.Sprintf(" (%d)", e.ResponseStatus.Code)
	}
	r.by[what]++
}

// most are the requests by verb and resource, the most frequent first.
func (r *requests) most() []string {
	return slices.SortedFunc(maps.Keys(r.by), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.by[b], r.by[a]), cmp.Compare(a, b))
	})
}
