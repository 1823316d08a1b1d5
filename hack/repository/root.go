// Package repository finds what else is in it, wherever a test or a command runs.
package repository

import (
	"errors"
	"os"
	"path/filepath"
)

// Root is the directory of the repository: the working directory, or one above it.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "hack", "cluster", "up.sh")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("not in a directory of the repository")
		}
	}
}
