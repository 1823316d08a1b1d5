package jsonrpc

import (
	"bytes"
	"errors"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// maxDepth bounds how deep values are nested.
	maxDepth = 128
	// maxNames bounds how many members the objects may have, together, that are open
	// at one place.
	maxNames = 1 << 16
)

// scanner reads JSON as RFC 8259 has it, and nothing that only some readers take:
// no comments, no NaN, no leading zeros, no name of a member twice. Of values it
// keeps none.
type scanner struct {
	data  []byte
	pos   int
	depth int
	// names are those of the members so far of the objects that are open.
	names [][]byte
}

var (
	errSyntax    = errors.New("the body is not JSON")
	errDepth     = errors.New("the body is nested too deep")
	errNames     = errors.New("the body has an object of too many members")
	errTwice     = errors.New("the body has a member twice in one object")
	errAmbiguous = errors.New("the body has a string that is not read by everybody alike")
)

// peek returns the first byte of the next token, or 0 at the end.
func (s *scanner) peek() byte {
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// take reads the token c, and says whether it is next.
func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.pos++
	return true
}

// value reads one of any type.
func (s *scanner) value() error {
	switch c := s.peek(); c {
	case '{':
		return s.object(func([]byte) error { return s.value() })
	case '[':
		return s.array(s.value)
	case '"':
		_, err := s.quoted()
		return err
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		return s.number()
	}
}

func (s *scanner) enter() error {
	//rule:nested-deep
	if s.depth++; s.depth > maxDepth {
		return errDepth
	}
	s.pos++
	return nil
}

// object reads an object. member is called with the name of each member, and reads
// its value. That a name stands twice is known at the end.
func (s *scanner) object(member func(name []byte) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	first := len(s.names)
	for more := !s.take('}'); more; {
		if s.peek() != '"' {
			return errSyntax
		}
		name, err := s.text()
		if err != nil {
			return err
		}
		if len(s.names) == maxNames {
			return errNames
		}
		s.names = append(s.names, name)
		if !s.take(':') {
			return errSyntax
		}
		if err := member(name); err != nil {
			return err
		}
		if more = s.take(','); !more && !s.take('}') {
			return errSyntax
		}
	}
	names := s.names[first:]
	s.names = s.names[:first]
	s.depth--
	slices.SortFunc(names, bytes.Compare)
	for i := 1; i < len(names); i++ {
		//rule:members-twice
		if bytes.Equal(names[i-1], names[i]) {
			return errTwice
		}
	}
	return nil
}

// array reads an array. element is called to read each.
func (s *scanner) array(element func() error) error {
	if err := s.enter(); err != nil {
		return err
	}
	for more := !s.take(']'); more; {
		if err := element(); err != nil {
			return err
		}
		if more = s.take(','); !more && !s.take(']') {
			return errSyntax
		}
	}
	s.depth--
	return nil
}

func (s *scanner) literal(l string) error {
	if !bytes.HasPrefix(s.data[s.pos:], []byte(l)) {
		return errSyntax
	}
	s.pos += len(l)
	return nil
}

func (s *scanner) number() error {
	if s.at('-') {
		s.pos++
	}
	if s.at('0') {
		s.pos++
	} else if s.digits() == 0 {
		return errSyntax
	}
	if s.at('.') {
		s.pos++
		if s.digits() == 0 {
			return errSyntax
		}
	}
	if s.at('e') || s.at('E') {
		s.pos++
		if s.at('+') || s.at('-') {
			s.pos++
		}
		if s.digits() == 0 {
			return errSyntax
		}
	}
	return nil
}

// at says whether c is the next byte.
func (s *scanner) at(c byte) bool { return s.pos < len(s.data) && s.data[s.pos] == c }

func (s *scanner) digits() (n int) {
	for s.pos < len(s.data) && '0' <= s.data[s.pos] && s.data[s.pos] <= '9' {
		s.pos++
		n++
	}
	return n
}

// quoted reads a string, and returns what stands between the quotes as it is
// written.
func (s *scanner) quoted() ([]byte, error) {
	rest := s.data[s.pos+1:]
	for i := 0; i < len(rest); {
		switch c := rest[i]; {
		case c == '"':
			s.pos += i + 2
			return rest[:i], nil
		case c < ' ':
			return nil, errSyntax
		case c == '\\':
			n := escape(rest[i:])
			if n == 0 {
				return nil, errSyntax
			}
			i += n
		default:
			i++
		}
	}
	return nil, errSyntax
}

// escape returns the length of the escape that b begins with, or 0 if it is none.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) >= 6 && hex(b[2:6]) >= 0 {
			return 6
		}
	}
	return 0
}

// hex returns what four hexadecimal digits say, or -1.
func hex(b []byte) rune {
	var r rune
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return r
}

// text reads a string and returns what it says. It refuses halves of surrogate pairs,
// of which each reader makes something else, and NUL, at which some end.
func (s *scanner) text() ([]byte, error) {
	raw, err := s.quoted()
	if err != nil || bytes.IndexByte(raw, '\\') < 0 {
		return raw, err
	}
	said := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			said = append(said, raw[i])
			i++
			continue
		}
		if raw[i+1] != 'u' {
			said = append(said, unescaped[raw[i+1]])
			i += 2
			continue
		}
		r := hex(raw[i+2 : i+6])
		i += 6
		if utf16.IsSurrogate(r) {
			low := rune(-1)
			if escape(raw[i:]) == 6 {
				low = hex(raw[i+2 : i+6])
			}
			//rule:half-surrogates
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				return nil, errAmbiguous
			}
			i += 6
		}
		if r == 0 {
			return nil, errAmbiguous
		}
		said = utf8.AppendRune(said, r)
	}
	return said, nil
}

var unescaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}
