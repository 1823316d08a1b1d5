package weather

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// alertsURI names the one resource.
const alertsURI = "weather://alerts"

func addResource(server *mcp.Server, a *alerts) {
	const mimeType = "application/json"
	server.AddResource(&mcp.Resource{
		URI:         alertsURI,
		Name:        "alerts",
		Title:       "Alerts",
		Description: "All alerts that are set, by city.",
		MIMEType:    mimeType,
	}, func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		text, err := json.Marshal(a.all())
		if err != nil {
			return nil, fmt.Errorf("writing the alerts: %w", err)
		}
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: alertsURI, MIMEType: mimeType, Text: string(text)}}}, nil
	})
}

func addPrompt(server *mcp.Server) {
	server.AddPrompt(&mcp.Prompt{
		Name:        "pack_for",
		Title:       "Pack for a trip",
		Description: "Asks what to take along to a city.",
		Arguments:   []*mcp.PromptArgument{{Name: "city", Description: "The name of any city.", Required: true}},
	}, func(_ context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		city := req.Params.Arguments["city"]
		if err := checkCity(city); err != nil {
			return nil, err
		}
		text := fmt.Sprintf("I travel to %s today. Get the forecast, then tell me what to pack.", city)
		return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{Role: "user", Content: &mcp.TextContent{Text: text}}}}, nil
	})
}
