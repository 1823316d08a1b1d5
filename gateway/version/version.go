// Package version says which release a program is of.
package version

// Version is what the build says with
//
//	-ldflags "-X vestibule.dev/vestibule/gateway/version.Version=v1.2.3"
//
// or "development".
var Version = "development"
