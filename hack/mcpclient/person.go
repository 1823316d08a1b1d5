package mcpclient

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
)

// Person has a browser: they allow what is asked, and log in.
type Person struct {
	Name, password string
	browser        *http.Client
}

// NewPerson returns somebody with a new browser, which reaches what through does.
func NewPerson(name, password string, through *http.Client) (*Person, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	return &Person{name, password, &http.Client{
		Transport: through.Transport, Jar: jar,
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			if strings.HasPrefix(r.URL.String(), RedirectURL) {
				return http.ErrUseLastResponse // the client takes over
			}
			return nil
		},
	}}, nil
}

var (
	formTag  = regexp.MustCompile(`(?s)<form[^>]*action="([^"]*)"`)
	backTag  = regexp.MustCompile(`<a href="([^"]*)">Back`)
	inputTag = regexp.MustCompile(`<input[^>]*type="hidden"[^>]*name="([^"]*)"[^>]*value="([^"]*)"`)
)

// Login follows an authorization URL to the client's redirect URI, and returns
// the parameters that arrive there.
func (p *Person) Login(authorizationURL string) (url.Values, error) {
	page, err := p.Visit(authorizationURL)
	if err != nil {
		return nil, err
	}
	defer page.Body.Close()
	arrived, err := page.Location()
	if page.StatusCode == http.StatusForbidden { // the page for those who have no access leads back
		arrived, err = back(page)
	}
	if err != nil {
		return nil, fmt.Errorf("the login ends with %s at %s", page.Status, page.Request.URL.Path)
	}
	return arrived.Query(), nil
}

// back is where the page's link back leads.
func back(page *http.Response) (*url.URL, error) {
	body, err := io.ReadAll(page.Body)
	if err != nil {
		return nil, err
	}
	link := backTag.FindSubmatch(body)
	if link == nil {
		return nil, fmt.Errorf("there is no way back: %s", body)
	}
	return url.Parse(html.UnescapeString(string(link[1])))
}

// Visit allows what an authorization URL asks for, logs in, and follows where that
// leads: to the answer of a client that listens at its redirect URI. The caller
// closes its body.
func (p *Person) Visit(authorizationURL string) (*http.Response, error) {
	page, err := p.browser.Get(authorizationURL)
	for _, answers := range []url.Values{{"decision": {"approve"}}, {"username": {p.Name}, "password": {p.password}}} {
		if err != nil {
			return nil, err
		}
		if page, err = p.submit(page, answers); err == nil && page.StatusCode != http.StatusOK {
			break
		}
	}
	return page, err
}

// submit sends the page's form.
func (p *Person) submit(page *http.Response, answers url.Values) (*http.Response, error) {
	defer page.Body.Close()
	body, err := io.ReadAll(page.Body)
	if err != nil {
		return nil, err
	}
	form := formTag.FindSubmatch(body)
	if form == nil {
		return nil, fmt.Errorf("%s answers %s without a form: %s", page.Request.URL.Path, page.Status, body)
	}
	for _, input := range inputTag.FindAllSubmatch(body, -1) {
		answers.Set(string(input[1]), html.UnescapeString(string(input[2])))
	}
	target, err := page.Request.URL.Parse(html.UnescapeString(string(form[1])))
	if err != nil {
		return nil, err
	}
	return p.browser.PostForm(target.String(), answers)
}
