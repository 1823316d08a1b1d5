package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"strings"
)

// edit switches a rule off: it returns the changes to the marked code.
type edit func(place) ([]splice, error)

// place is the code that a marker stands at.
type place struct {
	*source
	node ast.Node
}

// splice replaces the bytes from..to of a file.
type splice struct {
	from, to int
	text     string
}

var errNoCondition = errors.New("there is no condition here")

// never makes the marked condition false. It applies to an if, a for, a case of a switch
// without a tag, and to a bool that is returned, assigned or an operand.
func never(p place) ([]splice, error) { return p.each("false && (", ")") }

// always makes it true.
func always(p place) ([]splice, error) { return p.each("true || (", ")") }

func (p place) each(before, after string) ([]splice, error) {
	var edits []splice
	for _, c := range conditions(p.node) {
		from, to := p.span(c)
		edits = append(edits, splice{from, to, before + p.text[from:to] + after})
	}
	if len(edits) == 0 {
		return nil, errNoCondition
	}
	return edits, nil
}

func conditions(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.IfStmt:
		return []ast.Expr{n.Cond}
	case *ast.ForStmt:
		return []ast.Expr{n.Cond}
	case *ast.CaseClause:
		return n.List
	case *ast.ReturnStmt:
		if len(n.Results) == 1 {
			return n.Results
		}
	case *ast.AssignStmt:
		if len(n.Rhs) == 1 {
			return n.Rhs
		}
	case ast.Expr:
		return []ast.Expr{n}
	}
	return nil
}

// remove takes the marked statement, case, list element or operand away.
func remove(p place) ([]splice, error) {
	if e, ok := p.node.(ast.Expr); ok {
		return p.without(e)
	}
	from, to := p.span(p.node)
	return []splice{{from, to, ""}}, nil
}

// without takes away the operand of && or ||, or the element of a list, that contains
// text. With several, one inside the other, it is the innermost.
func without(text string) edit {
	return func(p place) ([]splice, error) {
		at, err := p.find(text)
		if err != nil {
			return nil, err
		}
		var inner ast.Expr
		p.elements(func(e ast.Expr) {
			if from, to := p.span(e); from <= at && at+len(text) <= to {
				inner = e
			}
		})
		if inner == nil {
			return nil, fmt.Errorf("no operand or element contains %q", text)
		}
		return p.without(inner)
	}
}

// without takes an operand away with its operator, or an element with its comma.
func (p place) without(e ast.Expr) ([]splice, error) {
	from, to := p.span(e)
	var edits []splice
	ast.Inspect(p.top(), func(n ast.Node) bool {
		if b, ok := n.(*ast.BinaryExpr); ok && logical(b) {
			left, right := b.X, b.Y
			switch e {
			case right:
				_, end := p.span(left)
				edits = []splice{{end, to, ""}}
			case left:
				start, _ := p.span(right)
				edits = []splice{{from, start, ""}}
			}
		}
		if i, list := position(n, e); list != nil {
			switch {
			case i+1 < len(list):
				next, _ := p.span(list[i+1])
				edits = []splice{{from, next, ""}}
			case i > 0:
				_, end := p.span(list[i-1])
				edits = []splice{{end, to, ""}}
			default:
				edits = []splice{{from, to, ""}}
			}
		}
		return true
	})
	if edits == nil {
		return nil, errors.New("this is neither an operand nor an element of a list")
	}
	return edits, nil
}

func logical(b *ast.BinaryExpr) bool { return b.Op == token.LAND || b.Op == token.LOR }

// lists returns what a node lists.
func lists(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.CallExpr:
		return n.Args
	case *ast.CompositeLit:
		return n.Elts
	case *ast.CaseClause:
		return n.List
	}
	return nil
}

func position(n ast.Node, e ast.Expr) (int, []ast.Expr) {
	list := lists(n)
	for i := range list {
		if list[i] == e {
			return i, list
		}
	}
	return 0, nil
}

// elements calls f for each operand of && and ||, and each element of a list, that is
// in the marked code, outer ones first.
func (p place) elements(f func(ast.Expr)) {
	ast.Inspect(p.node, func(n ast.Node) bool {
		if b, ok := n.(*ast.BinaryExpr); ok && logical(b) {
			f(b.X)
			f(b.Y)
		}
		for _, e := range lists(n) {
			f(e)
		}
		return true
	})
}

// replace puts other text in the place of what must occur once in the marked code: in
// the head of a statement that has a body.
func replace(before, after string) edit {
	return func(p place) ([]splice, error) {
		at, err := p.find(before)
		if err != nil {
			return nil, err
		}
		return []splice{{at, at + len(before), after}}, nil
	}
}

// first puts statements before the marked one.
func first(statements string) edit {
	return func(p place) ([]splice, error) {
		from, _ := p.span(p.node)
		return []splice{{from, from, statements + "\n"}}, nil
	}
}

// then puts statements after the marked one.
func then(statements string) edit {
	return func(p place) ([]splice, error) {
		_, to := p.span(p.node)
		return []splice{{to, to, "\n" + statements}}, nil
	}
}

// instead puts other statements in the place of the marked one.
func instead(statements string) edit {
	return func(p place) ([]splice, error) {
		from, to := p.span(p.node)
		return []splice{{from, to, statements}}, nil
	}
}

// find returns where text stands in the marked code.
func (p place) find(text string) (int, error) {
	from, to := p.head()
	if n := strings.Count(p.text[from:to], text); n != 1 {
		return 0, fmt.Errorf("%q occurs %d times in the marked code, not once", text, n)
	}
	return from + strings.Index(p.text[from:to], text), nil
}

// head is the marked code without the body of a statement that has one.
func (p place) head() (from, to int) {
	from, to = p.span(p.node)
	switch n := p.node.(type) {
	case *ast.IfStmt:
		to = p.offset(n.Body.Pos())
	case *ast.ForStmt:
		to = p.offset(n.Body.Pos())
	case *ast.RangeStmt:
		to = p.offset(n.Body.Pos())
	case *ast.CaseClause:
		to = p.offset(n.Colon)
	}
	return from, to
}
