package kubernetes

import "encoding/base64"

// appendPatch writes the JSON patch (RFC 6902) that does all writes or none.
// Each first tests what it replaces: in the API server's implementation a
// replace of an absent key succeeds as an add, and an absent key passes the
// test for null. If the latter should ever change, creation fails, closed.
//
// Base64 is compared as text, so it must be the API server's own spelling.
// Keys are base64url, which neither JSON nor JSON pointers escape.
func appendPatch(b []byte, field string, writes []*write) []byte {
	b = append(b, '[')
	for i, w := range writes {
		if i > 0 {
			b = append(b, ',')
		}
		//rule:patch-without-test
		b = appendOp(b, "test", field, w.key)
		b = appendValue(b, w.old)
		b = append(b, ',')
		switch {
		case w.new == nil:
			b = appendOp(b, "remove", field, w.key)
			b = append(b, '}')
		case w.old == nil:
			b = appendOp(b, "add", field, w.key)
			b = appendValue(b, w.new)
		default:
			b = appendOp(b, "replace", field, w.key)
			b = appendValue(b, w.new)
		}
	}
	return append(b, ']')
}

func appendOp(b []byte, op, field, key string) []byte {
	b = append(b, `{"op":"`...)
	b = append(b, op...)
	b = append(b, `","path":"/`...)
	b = append(b, field...)
	b = append(b, '/')
	b = append(b, key...)
	return append(b, '"')
}

func appendValue(b, value []byte) []byte {
	if value == nil {
		return append(b, `,"value":null}`...)
	}
	b = append(b, `,"value":"`...)
	b = base64.StdEncoding.AppendEncode(b, value)
	return append(b, `"}`...)
}
