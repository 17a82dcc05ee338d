import tseslint from 'typescript-eslint';

/** A line that is one string, template or regular expression, which cannot be broken. */
const LITERAL = '^\\s*(?:const \\w+ = )?!?(?:[\'"`]|/(?![/*]))';

export default tseslint.config(
  { ignores: ['dist/', 'src/kernels/assembly/', 'coverage/'] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: { allowDefaultProject: ['*.js', 'bin/*.js', 'bench/*.mjs'] }, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Bytes of typed arrays: `as number` is free, a check of every index is not.
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/explicit-function-return-type': ['error', { allowExpressions: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/prefer-nullish-coalescing': ['error', { ignorePrimitives: true }],
      'no-console': 'error',
      eqeqeq: 'error',
    },
  },
  { files: ['src/**'], rules: { 'max-len': ['error', { code: 140, ignorePattern: LITERAL }] } },
  { files: ['test/**/*.{ts,mjs}'], rules: { '@typescript-eslint/explicit-function-return-type': 'off', '@typescript-eslint/no-non-null-assertion': 'off', '@typescript-eslint/require-await': 'off', '@typescript-eslint/no-misused-spread': 'off', '@typescript-eslint/unbound-method': 'off', '@typescript-eslint/no-unused-vars': ['error', { varsIgnorePattern: '^_' }], 'no-console': 'off' } },
  { files: ['**/*.js', '**/*.mjs'], ...tseslint.configs.disableTypeChecked },
  { files: ['bench/**', '*.mjs'], rules: { 'no-console': 'off', '@typescript-eslint/explicit-function-return-type': 'off' } },
);
