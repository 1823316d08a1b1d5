package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The switch: the mutant in force is named by an environment variable that test
// processes, and the processes that they start, read once.
const (
	switchEnv  = "VESTIBULE_MUTANT"
	switchFile = "mutant_in_force.go"
	switchCode = `package %s

import "os"

var mutantInForce = os.Getenv("` + switchEnv + `")

func mutantOr[T any](name string, mutated, value T) T {
	if mutantInForce == name {
		return mutated
	}
	return value
}
`
)

// change is a mutant at its place.
type change struct {
	place
	name  string
	edits []splice
}

// change edits the code that is marked for the mutant.
func (m mutant) change(found map[string]place) (change, error) {
	at, ok := found[m.name]
	if !ok {
		return change{}, fmt.Errorf("%s: no comment %s%s marks the rule", m.name, marker, m.name)
	}
	edits, err := m.edit(at)
	if err != nil {
		return change{}, fmt.Errorf("%s, in %s: %w", m.name, at.name, err)
	}
	return change{at, m.name, edits}, nil
}

// writeOverlay writes, into dir, the changed files of the tree at root, each with all of
// its mutants behind the switch, and an overlay.json for go's -overlay. No file of
// the tree changes.
func writeOverlay(root, dir string, changes []change) (overlay string, err error) {
	byFile := map[string][]change{}
	for _, c := range changes {
		byFile[c.source.name] = append(byFile[c.source.name], c)
	}
	replaced := map[string]string{}
	write := func(name, content string) error {
		inTree, err := filepath.Abs(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		other := filepath.Join(dir, strconv.Itoa(len(replaced))+".go")
		replaced[inTree] = other
		return os.WriteFile(other, []byte(content), 0o600)
	}
	packages := map[string]string{}
	for name, changes := range byFile {
		content, err := switched(changes)
		if err != nil {
			return "", err
		}
		if err := write(name, content); err != nil {
			return "", err
		}
		packages[path.Dir(name)] = changes[0].file.Name.Name
	}
	for folder, name := range packages {
		if err := write(path.Join(folder, switchFile), fmt.Sprintf(switchCode, name)); err != nil {
			return "", err
		}
	}
	b, err := json.Marshal(map[string]map[string]string{"Replace": replaced})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, b, 0o600)
}

// switched returns a file in which each changed function begins with a copy of itself
// for each of its mutants, which runs if the switch names it. Elsewhere expressions
// have a choice. Errors of the compiler name the mutant as the file.
func switched(changes []change) (string, error) {
	var edits []splice
	for _, c := range changes {
		var e splice
		var err error
		switch d := c.top().(type) {
		case *ast.FuncDecl:
			e = c.inFunction(d)
		default:
			e, err = c.inDeclaration(d)
		}
		if err != nil {
			return "", fmt.Errorf("%s, in %s: %w", c.name, c.source.name, err)
		}
		edits = append(edits, e)
	}
	return apply(changes[0].text, 0, edits), nil
}

func (c change) inFunction(d *ast.FuncDecl) splice {
	from, to := c.offset(d.Body.Lbrace)+1, c.offset(d.Body.Rbrace)
	// Labels are the whole function's.
	edits := slices.Clone(c.edits)
	ast.Inspect(d.Body, func(n ast.Node) bool {
		var label *ast.Ident
		switch n := n.(type) {
		case *ast.LabeledStmt:
			label = n.Label
		case *ast.BranchStmt:
			label = n.Label
		}
		if label != nil {
			_, end := c.span(label)
			edits = append(edits, splice{end, end, "_" + strings.ReplaceAll(c.name, "-", "_")})
		}
		return true
	})
	last := `panic("this mutant does not return")`
	if d.Type.Results == nil {
		last = "return"
	}
	copied := apply(c.text[from:to], from, edits)
	return splice{from, from, fmt.Sprintf("\nif mutantInForce == %q {\n//line %s:1\n%s\n%s\n}\n//line %s:%d\n",
		c.name, c.name, copied, last, c.source.name, c.fset.Position(d.Body.Lbrace).Line)}
}

func (c change) inDeclaration(d ast.Decl) (splice, error) {
	if d, ok := d.(*ast.GenDecl); !ok || d.Tok == token.CONST {
		return splice{}, errors.New("a constant cannot be switched: mark where it is used")
	}
	var value ast.Expr
	ast.Inspect(d, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			for _, v := range spec.Values {
				if v.Pos() <= c.node.End() && c.node.Pos() <= v.End() {
					value = v
				}
			}
		}
		return true
	})
	if value == nil {
		return splice{}, errors.New("it stands neither in a function nor in the value of a variable")
	}
	from, to := c.span(value)
	text := c.text[from:to]
	return splice{from, to, fmt.Sprintf("mutantOr(%q, %s, %s)", c.name, apply(text, from, c.edits), text)}, nil
}

// apply makes edits in a text that begins at an offset of its file.
func apply(text string, offset int, edits []splice) string {
	slices.SortStableFunc(edits, func(a, b splice) int { return cmp.Compare(b.from, a.from) })
	for _, e := range edits {
		text = text[:e.from-offset] + e.text + text[e.to-offset:]
	}
	return text
}
