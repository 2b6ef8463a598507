"""People drawn by the program, who walk past cameras."""
