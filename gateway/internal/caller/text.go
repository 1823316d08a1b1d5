package caller

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// What stands around the Base64 of text that headers cannot have, in the way of MCP
// (SEP-2243).
const (
	EncodedPrefix = "=?base64?"
	EncodedSuffix = "?="
)

// asText returns a claim as a header has it: text as it is, everything else as JSON,
// so that no list can be taken for another. What a header cannot have is in Base64, so
// nothing that a user has written at the upstream ends a line or begins a header.
func asText(value any) (string, error) {
	text, ok := value.(string)
	if !ok && value != nil {
		encoded, err := json.Marshal(value)
		if err != nil {
			return "", err
		}
		text = string(encoded)
	}
	if plain(text) {
		return text, nil
	}
	return EncodedPrefix + base64.StdEncoding.EncodeToString([]byte(text)) + EncodedSuffix, nil
}

// plain says whether text is the same behind a header, for everybody: visible ASCII,
// with blanks inside of it, that is not mistaken for encoded.
func plain(text string) bool {
	for _, c := range []byte(text) {
		//rule:identity-not-ascii
		if c < ' ' || c > '~' {
			return false
		}
	}
	return strings.TrimSpace(text) == text && !strings.HasPrefix(text, EncodedPrefix)
}
