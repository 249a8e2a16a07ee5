"""The pages: what people see. A face: it translates, and calls one service for each act."""
