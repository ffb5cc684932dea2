// The rules for the script of the report's page: `make check-script`.
const names = ["Blob", "DecompressionStream", "Option", "Response", "atob", "clearInterval", "document", "performance", "setInterval"];

export default [
  {
    languageOptions: { ecmaVersion: 2023, sourceType: "module", globals: Object.fromEntries(names.map((name) => [name, "readonly"])) },
    rules: {
      "consistent-return": "error",
      eqeqeq: "error",
      "no-shadow": "error",
      "no-undef": "error",
      "no-unused-vars": "error",
      "no-var": "error",
      "prefer-const": "error",
    },
  },
];
