// Package policy compiles the CEL expressions of an MCPServer. The controller
// compiles them to report mistakes before anything rolls out, the gateway to
// decide by them: both with this one environment.
package policy

import (
	"errors"
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"

	"vestibule.dev/vestibule/gateway/config"
)

// costLimit bounds the work of one evaluation, in CEL's own units: enough for
// any look at a user's groups, far too little to hold a login up.
const costLimit = 100_000

// environment knows two variables: claims, what the upstream said of the user,
// by name, and upstream, the name of where that was. Strings have the functions
// of CEL's strings extension.
var environment = func() *cel.Env {
	env, err := cel.NewEnv(
		cel.Variable("claims", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("upstream", cel.StringType),
		ext.Strings(ext.StringsVersion(4)),
		ext.Sets(),
	)
	if err != nil {
		panic(err) // constant options
	}
	return env
}()

// User is who rules are asked about.
type User struct {
	// Upstream is the name of where the user logged in.
	Upstream string
	Claims   map[string]any
}

// Access says who may have a grant. It is immutable.
type Access struct{ rules []rule }

type rule struct {
	name    string
	program cel.Program
}

// CompileAccess compiles access rules. The error names every rule that does
// not compile, or that could not be true or false.
func CompileAccess(rules []config.AccessRule) (*Access, error) {
	a, errs := &Access{}, []error(nil)
	for _, r := range rules {
		program, err := compile(r.Expression)
		if err != nil {
			errs = append(errs, fmt.Errorf("access rule %s: %w", r.Name, err))
			continue
		}
		a.rules = append(a.rules, rule{r.Name, program})
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return a, nil
}

func compile(expression string) (cel.Program, error) {
	ast, issues := environment.Compile(expression)
	if issues.Err() != nil {
		return nil, issues.Err()
	}
	if t := ast.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("the expression must be true or false, but is of type %s", t)
	}
	return environment.Program(ast, cel.CostLimit(costLimit))
}

// ErrDenied says that no rule lets a user in.
var ErrDenied = errors.New("no access rule is true for this user")

// Allowed says by which rule a user may have a grant, or returns ErrDenied. Without rules
// everybody may. A rule that fails, for instance for want of a claim, lets
// nobody in; the others still may.
func (a *Access) Allowed(u User) (rule string, err error) {
	if len(a.rules) == 0 {
		return "", nil
	}
	for _, r := range a.rules {
		if holds(r.program, u) {
			return r.name, nil
		}
	}
	return "", ErrDenied
}

// Asks says whether there are rules, so that it matters who a user is.
func (a *Access) Asks() bool { return len(a.rules) > 0 }

func holds(program cel.Program, u User) bool {
	result, _, err := program.Eval(map[string]any{"claims": u.Claims, "upstream": u.Upstream})
	if err != nil {
		//rule:failing-rule-lets-in
		return false
	}
	yes, isBool := result.Value().(bool)
	return isBool && yes
}

// Scopes says which scopes a user may have. It is immutable.
type Scopes struct{ allow map[string]cel.Program }

// CompileScopes compiles what scopes allow. The error names the field of every
// scope whose expression does not compile, or could not be true or false.
func CompileScopes(scopes []config.Scope) (*Scopes, error) {
	s, errs := &Scopes{map[string]cel.Program{}}, []error(nil)
	for _, scope := range scopes {
		if scope.Allow == "" {
			continue
		}
		program, err := compile(scope.Allow)
		if err != nil {
			errs = append(errs, fmt.Errorf("oauth.scopes[%s].allow: %w", scope.Name, err))
			continue
		}
		s.allow[scope.Name] = program
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// Asks says whether there is a scope that is not everybody's.
func (s *Scopes) Asks() bool { return len(s.allow) > 0 }

// Allowed says whether a user may have a scope. A scope without an expression is
// everybody's; one whose expression fails is nobody's.
func (s *Scopes) Allowed(scope string, u User) bool {
	program, restricted := s.allow[scope]
	return !restricted || holds(program, u)
}
