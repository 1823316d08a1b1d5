package jsonrpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

// refused are bodies that readers understand differently, or not at all.
var refused = []struct {
	name, body string
	code       int
}{
	{"nothing", "", CodeParseError},
	{"blanks", " \n", CodeParseError},
	{"a byte order mark", "\ufeff" + tool("a"), CodeParseError},
	{"UTF-16", "{\x00\"\x00m\x00", CodeParseError},
	{"no UTF-8", `{"method":"tools/call","params":{"name":"a"},"x":"` + "\xff" + `"}`, CodeParseError},
	{"a surrogate in UTF-8", `{"method":"ping","x":"` + "\xed\xa0\x80" + `"}`, CodeParseError},
	{"half a message", tool("a")[:20], CodeParseError},
	{"a second message", tool("a") + tool("b"), CodeParseError},
	{"a second message on its own line", tool("a") + "\n" + tool("b"), CodeParseError},
	{"NUL behind the message", tool("a") + "\x00", CodeParseError},
	{"NUL before the message", "\x00" + tool("a"), CodeParseError},
	{"a blank of another kind", "\u00a0" + tool("a"), CodeParseError},
	{"a vertical tab", "\v" + tool("a"), CodeParseError},
	{"a prefix against scripts", ")]}'\n" + tool("a"), CodeParseError},
	{"a comment", `{/*"method":"ping",*/"method":"tools/call","params":{"name":"a"}}`, CodeParseError},
	{"a comment on a line", "{\"method\":\"ping\"//\n}", CodeParseError},
	{"a comment with a number sign", "{\"method\":\"ping\"#\n}", CodeParseError},
	{"single quotes", `{'method':'ping'}`, CodeParseError},
	{"no quotes", `{method:"ping"}`, CodeParseError},
	{"a comma at the end", `{"method":"ping",}`, CodeParseError},
	{"a comma at the end of an array", `[` + tool("a") + `,]`, CodeParseError},
	{"two commas", `{"method":"ping",,"id":1}`, CodeParseError},
	{"no comma", `{"method":"ping" "id":1}`, CodeParseError},
	{"a semicolon", `{"method":"ping";"id":1}`, CodeParseError},
	{"no colon", `{"method" "ping"}`, CodeParseError},
	{"a name alone", `{"method":"ping","id"}`, CodeParseError},
	{"a number for a name", `{1:2,"method":"ping"}`, CodeParseError},
	{"an open string", `{"method":"ping`, CodeParseError},
	{"a string that ends in a backslash", `{"method":"ping\`, CodeParseError},
	{"a line break in a string", "{\"method\":\"ping\",\"x\":\"a\nb\"}", CodeParseError},
	{"an escape that is none", `{"method":"ping","x":"\x41"}`, CodeParseError},
	{"an escape of three digits", `{"method":"ping","x":"\u041"}`, CodeParseError},
	{"an escape that is no number", `{"method":"ping","x":"\u00g1"}`, CodeParseError},
	{"NaN", `{"method":"ping","id":NaN}`, CodeParseError},
	{"Infinity", `{"method":"ping","id":-Infinity}`, CodeParseError},
	{"a leading zero", `{"method":"ping","id":01}`, CodeParseError},
	{"a leading plus", `{"method":"ping","id":+1}`, CodeParseError},
	{"a hexadecimal number", `{"method":"ping","id":0x1}`, CodeParseError},
	{"no digit before the point", `{"method":"ping","id":.5}`, CodeParseError},
	{"no digit behind the point", `{"method":"ping","id":5.}`, CodeParseError},
	{"no digit in the exponent", `{"method":"ping","id":5e+}`, CodeParseError},
	{"a minus alone", `{"method":"ping","id":-}`, CodeParseError},
	{"True", `{"method":"ping","id":True}`, CodeParseError},
	{"a word that goes on", `{"method":"ping","id":nullx}`, CodeParseError},
	{"undefined", `{"method":"ping","id":undefined}`, CodeParseError},

	{"two methods", `{"method":"ping","method":"tools/call","params":{"name":"a"}}`, CodeParseError},
	{"two methods, one escaped", `{"method":"ping","\u006dethod":"tools/call","params":{"name":"a"}}`, CodeParseError},
	{"two params", `{"method":"tools/call","params":{"name":"a"},"params":{"name":"b"}}`, CodeParseError},
	{"two names", `{"method":"tools/call","params":{"name":"a","name":"b"}}`, CodeParseError},
	{"two names, one escaped", `{"method":"tools/call","params":{"name":"a","n\u0061me":"b"}}`, CodeParseError},
	{"two members far inside", `{"method":"ping","params":{"a":[{"b":1,"c":2,"b":1}]}}`, CodeParseError},
	{"two members far inside, surrogates against a character", `{"method":"ping","params":{"a":{"\ud83d\ude00":1,"` + "\U0001f600" + `":2}}}`, CodeParseError},

	{"Method beside method", `{"method":"ping","Method":"tools/call","params":{"name":"a"}}`, CodeInvalidRequest},
	{"METHOD alone", `{"METHOD":"tools/call","params":{"name":"a"}}`, CodeInvalidRequest},
	{"Params beside params", `{"method":"tools/call","params":{"name":"a"},"Params":{"name":"b"}}`, CodeInvalidRequest},
	{"params with a long s", `{"method":"tools/call","params":{"name":"a"},"param` + "\u017f" + `":{"name":"b"}}`, CodeInvalidRequest},
	{"params with a long s, escaped", `{"method":"tools/call","params":{"name":"a"},"param\u017f":{"name":"b"}}`, CodeInvalidRequest},
	{"NAME beside name", `{"method":"tools/call","params":{"name":"a","NAME":"b"}}`, CodeInvalidParams},
	{"Name alone", `{"method":"tools/call","params":{"Name":"b"}}`, CodeInvalidParams},
	{"URI beside uri", `{"method":"resources/read","params":{"uri":"a:b","URI":"a:c"}}`, CodeInvalidParams},
	{"Uri of a subscription", `{"method":"resources/subscribe","params":{"uri":"a:b","Uri":"a:c"}}`, CodeInvalidParams},
	{"a prototype of a message", `{"result":{},"__proto__":{"method":"tools/call","params":{"name":"a"}}}`, CodeInvalidRequest},
	{"a prototype of params", `{"method":"tools/call","params":{"name":"a","__proto__":{"name":"b"}}}`, CodeInvalidParams},
	{"a member that ends in NUL", `{"method":"tools/call","params":{"name":"a","name\u0000":"b"}}`, CodeParseError},
	{"a name that ends in NUL", tool(`a\u0000b`), CodeParseError},
	{"a name with half a pair", tool(`a\ud800`), CodeParseError},
	{"a name with the other half", tool(`a\udc00`), CodeParseError},
	{"a name with two first halves", tool(`\ud800\ud800`), CodeParseError},
	{"a member with half a pair", `{"method":"ping","params":{"\ud800":1}}`, CodeParseError},
	{"a name with a blank behind", tool("a "), CodeInvalidParams},
	{"a name with a blank of another kind before", tool(`\u2003a`), CodeInvalidParams},
	{"a name with a mark that is trimmed", tool(`a\ufeff`), CodeInvalidParams},
	{"a name with a mark that nobody sees", tool(`a\u200b`), CodeInvalidParams},
	{"a name with a line break", tool(`a\n`), CodeInvalidParams},
	{"no name", tool(""), CodeInvalidParams},
	{"a name that is too long", tool(strings.Repeat("a", maxName+1)), CodeInvalidParams},
	{"a method with a tab", `{"method":"tools/call\t","params":{"name":"a"}}`, CodeInvalidRequest},
	{"a method in capitals", `{"method":"Tools/Call","params":{"name":"a"}}`, CodeInvalidRequest},
	{"no method's text", `{"method":""}`, CodeInvalidRequest},

	{"an empty batch", `[]`, CodeInvalidRequest},
	{"a batch in a batch", `[[` + tool("a") + `]]`, CodeInvalidRequest},
	{"a batch with something else", `[` + tool("a") + `,1]`, CodeInvalidRequest},
	{"a batch that is too long", `[` + strings.Repeat(`{"method":"ping"},`, maxBatch) + `{"method":"ping"}]`, CodeInvalidRequest},
	{"a string", `"tools/call"`, CodeInvalidRequest},
	{"null", `null`, CodeInvalidRequest},
	{"no method", `{"jsonrpc":"2.0","id":1}`, CodeInvalidRequest},
	{"a method that is an array", `{"method":["tools/call"],"params":{"name":"a"}}`, CodeInvalidRequest},
	{"a method that is an object", `{"method":{"0":"tools/call"},"params":{"name":"a"}}`, CodeInvalidRequest},
	{"a method that is a number", `{"method":1}`, CodeInvalidRequest},
	{"a method that is null", `{"method":null,"result":{}}`, CodeInvalidRequest},
	{"a call without params", `{"method":"tools/call"}`, CodeInvalidParams},
	{"params that are null", `{"method":"tools/call","params":null}`, CodeInvalidParams},
	{"params by position", `{"method":"tools/call","params":["a"]}`, CodeInvalidParams},
	{"params with a name inside", `{"method":"tools/call","params":[{"name":"a"}]}`, CodeInvalidParams},
	{"a name that is an array", `{"method":"tools/call","params":{"name":["a"]}}`, CodeInvalidParams},
	{"a name that is a number", `{"method":"prompts/get","params":{"name":1}}`, CodeInvalidParams},
	{"a uri of a tool", `{"method":"tools/call","params":{"uri":"a"}}`, CodeInvalidParams},

	{"nested too deep", `{"method":"ping","params":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + `}`, CodeParseError},
	{"nested without end", strings.Repeat("[", 1<<20), CodeParseError},
	{"objects without end", strings.Repeat(`{"a":`, 1<<20), CodeParseError},
}

func tool(name string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + name + `","arguments":{"name":"b","uri":"c"}}}`
}

func TestWhatReadersUnderstandDifferentlyIsRefused(t *testing.T) {
	for _, row := range refused {
		t.Run(row.name, func(t *testing.T) {
			body, err := Parse([]byte(row.body))
			if e, ok := errors.AsType[*Error](err); !ok || e.Code != row.code || body.Calls != nil {
				t.Errorf("%+v, %v", body, err)
			}
			if row.code != CodeParseError {
				return
			}
			// What makes one message of a batch unreadable makes all so.
			if _, err := Parse([]byte("[" + tool("a") + "," + row.body + "]")); err == nil {
				t.Error("in a batch it is taken")
			}
		})
	}
	names := []byte(`{"method":"ping","params":{`)
	for i := range maxNames {
		names = append(names, `"`+strings.Repeat("a", i%200)+string(rune('0'+i/200%1000+0x100))+`":1,`...)
	}
	if _, err := Parse(append(names, `"b":1}}`...)); err == nil || err.Error() != errNames.Error() {
		t.Errorf("an object of many members: %v", err)
	}
}

func TestParse(t *testing.T) {
	for _, row := range []struct {
		name, body string
		batch      bool
		calls      []Call
	}{
		{"a tool", tool("get_weather"), false, []Call{{CallTool, "get_weather"}}},
		{"blanks everywhere", " {\r\n\t\"params\" : { \"name\" : \"a\" } , \"method\" : \"tools/call\" } \n", false, []Call{{CallTool, "a"}}},
		{"escapes", `{"m\u0065thod":"tools\/c\u0061ll","params":{"n\u0061me":"\u00fc\ud83d\ude00\"\\\/\u0041"}}`, false, []Call{{CallTool, "\u00fc\U0001f600\"\\/A"}}},
		{"a prompt", `{"method":"prompts/get","params":{"name":"a","Uri":1}}`, false, []Call{{GetPrompt, "a"}}},
		{"a resource", `{"method":"resources/read","params":{"uri":"file:///a","Name":1}}`, false, []Call{{ReadResource, "file:///a"}}},
		{"a subscription", `{"method":"resources/subscribe","params":{"uri":"file:///a"}}`, false, []Call{{SubscribeResource, "file:///a"}}},
		{"its end", `{"method":"resources/unsubscribe","params":{"uri":"file:///a"}}`, false, []Call{{UnsubscribeResource, "file:///a"}}},
		{"a method that names nothing", `{"method":"initialize","params":{"name":["a"],"clientInfo":{"name":"x","Name":"y"}}}`, false, []Call{{Method: "initialize"}}},
		{"no params", `{"method":"tools/list"}`, false, []Call{{Method: "tools/list"}}},
		{"params by position", `{"method":"own/method","params":["a"]}`, false, []Call{{Method: "own/method"}}},
		{"a notification", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, false, []Call{{Method: "notifications/initialized"}}},
		{"an answer", `{"jsonrpc":"2.0","id":1,"result":{"method":"tools/call","Method":1}}`, false, []Call{{}}},
		{"an error", `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"a"}}`, false, []Call{{}}},
		{"an answer that is a call too", `{"result":{},"method":"tools/call","params":{"name":"a"}}`, false, []Call{{CallTool, "a"}}},
		{"a batch", `[` + tool("a") + `,{"result":1},` + tool("b") + `]`, true, []Call{{CallTool, "a"}, {}, {CallTool, "b"}}},
		{"a batch of one", `[` + tool("a") + `]`, true, []Call{{CallTool, "a"}}},
		{"every type", `{"method":"ping","params":{"a":[null,true,false,-0.5e+10,0,1E5,"\ud800 \b\f\n\r\t",{},[],{"":""}]}}`, false, []Call{{Method: "ping"}}},
		{"one name in many objects", `{"method":"ping","params":{"a":{"a":{"a":1,"b":2}},"b":[{"a":1},{"a":2}]}}`, false, []Call{{Method: "ping"}}},
		{"nested deep", `{"method":"ping","params":` + strings.Repeat("[", maxDepth-1) + strings.Repeat("]", maxDepth-1) + `}`, false, []Call{{Method: "ping"}}},
		{"a long name", tool(strings.Repeat("a", maxName)), false, []Call{{CallTool, strings.Repeat("a", maxName)}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			body, err := Parse([]byte(row.body))
			if err != nil || body.Batch != row.batch || !slices.Equal(body.Calls, row.calls) {
				t.Errorf("%+v, %v", body, err)
			}
		})
	}
}

// What is accepted, a reader that is far less strict understands alike: one that does
// not tell capitals apart, and takes the last of two members.
func FuzzParse(f *testing.F) {
	for _, row := range refused {
		if len(row.body) < 1<<10 {
			f.Add([]byte(row.body))
		}
	}
	for _, seed := range []string{
		tool("a"), "[" + tool("a") + "," + tool("b") + "]", `{"method":"resources/read","params":{"uri":"file:///a"}}`, `{"result":{"a":[1,2,{"b":null}]}}`,
		`{"m\u0065thod":"prompts/get","params":{"name":"\ud83d\ude00"}}`, `{"id":1e999,"method":"ping","params":[1]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		body, err := Parse(data)
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok || body.Calls != nil || len(data) > 40 && strings.Contains(err.Error(), string(data)) {
				t.Errorf("%q: %+v, %v", data, body, err)
			}
			return
		}
		messages := []json.RawMessage{data}
		if body.Batch {
			if err := json.Unmarshal(data, &messages); err != nil {
				t.Fatalf("%q is accepted: %v", data, err)
			}
		}
		if len(messages) != len(body.Calls) {
			t.Fatalf("%q has %d messages, and not %d", data, len(messages), len(body.Calls))
		}
		for i, m := range messages {
			agrees(t, m, body.Calls[i])
			var v any
			reader := json.NewDecoder(bytes.NewReader(m))
			reader.UseNumber() // of which not all have room in a float64
			if err := reader.Decode(&v); err != nil {
				t.Fatalf("%q is accepted: %v", m, err)
			}
			again, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			agrees(t, again, body.Calls[i])
		}
	})
}

func agrees(t *testing.T, message []byte, c Call) {
	t.Helper()
	var lax struct {
		Method string
		Params json.RawMessage
	}
	if err := json.Unmarshal(message, &lax); err != nil || lax.Method != c.Method {
		t.Fatalf("%q calls %q, and not %q: %v", message, lax.Method, c.Method, err)
	}
	by := naming[c.Method]
	if by == "" {
		return
	}
	var params struct{ Name, URI any }
	if err := json.Unmarshal(lax.Params, &params); err != nil || by == "name" && params.Name != c.Name || by == "uri" && params.URI != c.Name {
		t.Fatalf("%q names %+v, and not %q: %v", message, params, c.Name, err)
	}
}

func BenchmarkParse(b *testing.B) {
	body := []byte(`{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{"name":"get_weather","arguments":{"city":"Z\u00fcrich","days":5,"units":["celsius","km/h"],"notes":"` +
		strings.Repeat("a forecast ", 70) + `"},"_meta":{"progressToken":"17","traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(body); err != nil {
			b.Fatal(err)
		}
	}
}
