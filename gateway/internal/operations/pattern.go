package operations

import "strings"

// pattern is a text in which any characters may stand between its parts.
type pattern []string

// newPattern reads a text in which each * stands for any characters, or none.
func newPattern(text string) pattern { return strings.Split(text, "*") }

func (p pattern) match(s string) bool {
	first, last := p[0], p[len(p)-1]
	if len(p) == 1 {
		return s == first
	}
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, part := range p[1 : len(p)-1] {
		_, rest, found := strings.Cut(s, part)
		if !found {
			return false
		}
		s = rest
	}
	return true
}
