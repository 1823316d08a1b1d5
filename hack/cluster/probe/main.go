// Command probe is what the cluster's test runs in pods:
//
//	probe             serve on :8080: the pod's name at /, the file $SECRET at /secret
//	probe get URL     print an answer's body
//	probe api PATH    print what the API server answers the pod's service account
//
// An answer other than 200 is a failure that names its status.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/"

func main() {
	log.SetFlags(0)
	log.SetPrefix("probe: ")
	var err error
	switch args := os.Args[1:]; {
	case len(args) == 0:
		err = serve()
	case len(args) == 2 && args[0] == "get":
		err = get(http.DefaultTransport, args[1], "")
	case len(args) == 2 && args[0] == "api":
		err = api(args[1])
	default:
		err = errors.New("usage: probe [get URL | api PATH]")
	}
	if err != nil {
		log.Fatal(err)
	}
}

func serve() error {
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		name, err := os.Hostname()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, name)
	})
	http.HandleFunc("GET /secret", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, os.Getenv("SECRET"))
	})
	return http.ListenAndServe(":8080", nil)
}

func api(path string) error {
	token, err := os.ReadFile(serviceAccount + "token")
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(serviceAccount + "ca.crt")
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	return get(transport, "https://kubernetes.default.svc"+path, "Bearer "+string(token))
}

func get(transport http.RoundTripper, url, authorization string) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := (&http.Client{Transport: transport, Timeout: 5 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(os.Stdout, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}
