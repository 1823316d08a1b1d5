package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// marker begins the comment above a rule that mutants switch off; their names follow.
const marker = "//rule:"

// source is a Go file with markers.
type source struct {
	// name is the file's path in the repository, with slashes.
	name string
	text string
	fset *token.FileSet
	file *ast.File
}

// places finds the marked code of the tree at root, by the name of the mutant.
func places(root string) (map[string]place, error) {
	found := map[string]place{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != root && (d.Name() == "testdata" || d.Name() == "node_modules" || d.Name()[0] == '.'):
			return filepath.SkipDir
		case d.IsDir() || path.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		content, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(content), marker) {
			return err
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		s, err := parse(filepath.ToSlash(name), string(content))
		if err != nil {
			return err
		}
		return s.marked(found)
	})
	return found, err
}

func parse(name, text string) (*source, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("looking for rules: %w", err)
	}
	return &source{name: name, text: text, fset: fset, file: file}, nil
}

// marked adds the places that markers in the file name.
func (s *source) marked(found map[string]place) error {
	for _, group := range s.file.Comments {
		for _, c := range group.List {
			names, ok := strings.CutPrefix(c.Text, marker)
			if !ok {
				continue
			}
			n := s.next(group.End())
			if n == nil {
				return fmt.Errorf("%s: %s marks nothing", s.fset.Position(c.Pos()), c.Text)
			}
			for name := range strings.FieldsSeq(names) {
				if other, twice := found[name]; twice {
					return fmt.Errorf("%s: rule %s is also in %s", s.fset.Position(c.Pos()), name, other.name)
				}
				found[name] = place{s, n}
			}
		}
	}
	return nil
}

// next returns the outermost statement, case, declaration or expression that begins
// on the line below the comment that ends at pos.
func (s *source) next(pos token.Pos) (next ast.Node) {
	line := s.fset.Position(pos).Line + 1
	ast.Inspect(s.file, func(n ast.Node) bool {
		if next != nil || n == nil || s.fset.Position(n.End()).Line < line {
			return false
		}
		switch n.(type) {
		case ast.Stmt, ast.Expr, ast.Spec:
			if s.fset.Position(n.Pos()).Line == line {
				next = n
			}
		}
		return next == nil
	})
	return next
}

func (s *source) offset(p token.Pos) int { return s.fset.Position(p).Offset }

// span is where a node stands.
func (s *source) span(n ast.Node) (from, to int) { return s.offset(n.Pos()), s.offset(n.End()) }

// top returns the declaration around the marked code.
func (p place) top() ast.Decl {
	i := slices.IndexFunc(p.file.Decls, func(d ast.Decl) bool { return d.Pos() <= p.node.Pos() && p.node.End() <= d.End() })
	return p.file.Decls[i]
}
