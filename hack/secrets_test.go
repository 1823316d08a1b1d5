package hack

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// secret matches the names of what could be found out byte by byte, if comparing it
// took longer the more of it is right.
var secret = regexp.MustCompile(`(?i)(hash|secret|mac|verifier|challenge|nonce|digest|binding|password)(es|s)?$`)

// compares are functions that compare, and stop at the first difference.
var compares = regexp.MustCompile(`^(bytes|slices|strings|reflect)\.(Equal|EqualFold|Compare|DeepEqual|Contains|Index)$`)

// The linter keeps crypto/subtle and crypto/hmac to one package, where comparing in
// constant time is reviewed. It does not see a comparison that uses neither.
func TestSecretsAreComparedInConstantTime(t *testing.T) {
	err := filepath.WalkDir("../gateway", func(path string, _ fs.DirEntry, err error) error {
		// Which records are the same a store has to know. They are sealed.
		skipped := strings.HasSuffix(path, "_test.go") || strings.Contains(path, "internal/store/") || strings.Contains(path, "internal/gatewaytest/")
		if err != nil || skipped || !strings.HasSuffix(path, ".go") {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for at, what := range comparisons(file) {
			t.Errorf("%s: %s is compared: use keys.Equal", files.Position(at), what)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAComparisonOfSecretsIsSeen(t *testing.T) {
	for source, want := range map[string]bool{
		`a.Hash == b`: true, `x != string(g.SecretHash)`: true, `bytes.Equal(tokens.Hash(s), c)`: true, `slices.Contains(hashes, h)`: true, `f(a).nonce == b`: true,
		`secret == ""`: false, `hash == nil`: false, `len(mac) == n`: false, `a == b`: false, `keys.Equal(hash, b)`: false, `0 != nonce`: false,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x; var _ = "+source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(comparisons(file)) > 0; got != want {
			t.Errorf("%s: %v", source, got)
		}
	}
}

// comparisons are where a file compares something whose name says that it is secret
// with something that is not a constant.
func comparisons(file *ast.File) map[token.Pos]string {
	found := map[token.Pos]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		var operands []ast.Expr
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if n.Op == token.EQL || n.Op == token.NEQ {
				operands = []ast.Expr{n.X, n.Y}
			}
		case *ast.CallExpr:
			if compares.MatchString(nameOf(n.Fun)) {
				operands = n.Args
			}
		}
		for _, o := range operands {
			if _, constant := o.(*ast.BasicLit); constant || nameOf(o) == "nil" {
				return true
			}
		}
		for _, o := range operands {
			if name := nameOf(o); secret.MatchString(name) {
				found[n.Pos()] = name
			}
		}
		return true
	})
	return found
}

// nameOf is what an expression is called: with a call, the function, or what it converts.
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return nameOf(e.X) + "." + e.Sel.Name
	case *ast.CallExpr:
		if name := nameOf(e.Fun); name != "string" {
			return name
		}
		return nameOf(e.Args[0])
	case *ast.IndexExpr:
		return nameOf(e.X)
	case *ast.SliceExpr:
		return nameOf(e.X)
	}
	return ""
}
