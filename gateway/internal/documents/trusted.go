package documents

import (
	"log/slog"
	"net/url"
	"time"

	"vestibule.dev/vestibule/gateway/config"
)

// NewTrusted returns a service that fetches from the hosts of these URLs alone. They
// may be anywhere: an administrator has named them, not a client.
func NewTrusted(urls []string, caBundleFile string, now func() time.Time, log *slog.Logger) (*Service, error) {
	settings := config.ClientIDMetadataDocuments{AllowedCIDRs: []string{"0.0.0.0/0", "::/0"}, CABundleFile: caBundleFile}
	for _, s := range urls {
		u, err := url.Parse(s)
		if err != nil {
			return nil, err
		}
		settings.AllowedHosts = append(settings.AllowedHosts, u.Host)
	}
	return New(Options{Settings: settings, Now: now, Log: log})
}
