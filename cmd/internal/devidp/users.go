package devidp

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// scopeGroups asks for the groups. The scope profile brings them too, so that a
// relying party need not know a scope that OpenID Connect does not define.
const scopeGroups = "groups"

// User is a person who can log in.
type User struct {
	// Name is what the person types, and what the subject is derived from: the
	// same name is the same subject after a restart.
	Name string
	// Password proves that it is this person. When empty, New makes one up.
	Password string
	// FullName is the claim name.
	FullName string
	// Email and EmailVerified are the claims of these names.
	Email         string
	EmailVerified bool
	// Groups is the claim groups.
	Groups []string
}

// LogValue keeps the password out of logs.
func (u User) LogValue() slog.Value { return slog.StringValue(u.Name) }

// defaultUsers differ in what access rules commonly ask for: a group, and an
// address that was verified.
func defaultUsers() []User {
	return []User{
		{Name: "alice", FullName: "Alice Adams", Email: "alice@example.com", EmailVerified: true, Groups: []string{"staff"}},
		{Name: "bob", FullName: "Bob Brown", Email: "bob@example.com", EmailVerified: true, Groups: []string{"staff", "ops"}},
		{Name: "mallory", FullName: "Mallory Moss", Email: "mallory@example.com", EmailVerified: false, Groups: []string{"staff"}},
	}
}

// users are those who can log in, each with a password.
type users []User

func newUsers(given []User) (users, error) {
	if len(given) == 0 {
		given = defaultUsers()
	}
	us := slices.Clone(given)
	seen := map[string]bool{}
	for i := range us {
		name := us[i].Name
		if name == "" {
			return nil, errors.New("a user has no name")
		}
		if seen[name] {
			return nil, fmt.Errorf("two users are called %s", name)
		}
		seen[name] = true
		if us[i].Password == "" {
			us[i].Password = newPassword()
		}
	}
	return us, nil
}

// newPassword returns 80 random bits, in a form that can be typed.
func newPassword() string {
	s := strings.ToLower(rand.Text())
	return strings.Join([]string{s[0:4], s[4:8], s[8:12], s[12:16]}, "-")
}

// authenticate returns the user of this name and password. It takes as long for
// a name that nobody has as for a wrong password.
func (us users) authenticate(name, password string) (*User, bool) {
	var found *User
	expected := ""
	for i := range us {
		if us[i].Name == name {
			found, expected = &us[i], us[i].Password
		}
	}
	same := equal(password, expected)
	return found, found != nil && same
}

// bySubject returns the user whom a token is about.
func (us users) bySubject(sub string) (*User, bool) {
	for i := range us {
		if subject(us[i].Name) == sub {
			return &us[i], true
		}
	}
	return nil, false
}

// subject returns the sub of a user. It looks random, as those of real
// providers do, so that nobody takes it for a name.
func subject(name string) string {
	sum := sha256.Sum256([]byte("vestibule development identity provider\x00" + name))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// describe adds the claims that scopes allow.
func (u *User) describe(info *oidc.UserInfo, scopes []string) {
	info.Subject = subject(u.Name)
	if slices.Contains(scopes, oidc.ScopeEmail) {
		info.Email = u.Email
		// As a claim of our own: the field of the type vanishes when it is false.
		info.AppendClaims("email_verified", u.EmailVerified)
	}
	profile := slices.Contains(scopes, oidc.ScopeProfile)
	if profile {
		info.Name = u.FullName
		info.PreferredUsername = u.Name
	}
	if profile || slices.Contains(scopes, scopeGroups) {
		info.AppendClaims("groups", u.Groups)
	}
}

// equal compares secrets. How long it takes tells nothing of either.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1 //nolint:forbidigo // the gateway's keys are out of reach here, and this is no gateway
}
