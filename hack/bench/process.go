package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// process is one whose work is measured.
type process int

// cpu is how long its threads have run so far. What threads have done that are
// gone is not in it: Go's stay.
func (p process) cpu() (time.Duration, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p))
	if err != nil || len(threads) == 0 {
		return 0, fmt.Errorf("process %d is not there, or this is not Linux", p)
	}
	var total time.Duration
	for _, path := range threads {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it has just ended
		}
		ran, _, _ := strings.Cut(string(data), " ")
		n, err := strconv.ParseInt(ran, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		total += time.Duration(n)
	}
	return total, nil
}

// written is how many bytes it has sent to the disk.
func (p process) written() (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", p))
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		if n, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			return strconv.ParseInt(n, 10, 64)
		}
	}
	return 0, fmt.Errorf("process %d: no write_bytes", p)
}

// memory is its resident set in bytes.
func (p process) memory() (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0, fmt.Errorf("process %d: no resident set", p)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// child returns the descendant of this process that runs a program of this name.
func child(name string) (process, error) {
	parents, names := map[int]int{}, map[int]string{}
	entries, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	for _, path := range entries {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// The name stands in parentheses, which may themselves be in it.
		open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
		if open < 0 || end < open {
			continue
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(data[:open])))
		fields := strings.Fields(string(data[end+1:]))
		if err != nil || len(fields) < 2 {
			continue
		}
		names[pid] = string(data[open+1 : end])
		parents[pid], _ = strconv.Atoi(fields[1])
	}
	for pid, is := range names {
		if is != name[:min(len(name), 15)] { // what the kernel keeps of a name
			continue
		}
		for up := parents[pid]; up > 1; up = parents[up] {
			if up == os.Getpid() {
				return process(pid), nil
			}
		}
	}
	return 0, fmt.Errorf("no %s was started here", name)
}
